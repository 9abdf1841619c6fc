"""The rewiring engine: which connections exist, and how they move while any torch model trains.

weights = find_weights(net)
rewirer = Rewirer(weights, initial_masks(weights, density=0.1), optimizer, growth="gradient", end_step=10_000)
...
loss.backward(); rewirer.before_step(); optimizer.step(); rewirer.after_step()
"""
