"""Training that is sparse in time and memory: stored connections, bits over lanes, gradients at stored places."""
