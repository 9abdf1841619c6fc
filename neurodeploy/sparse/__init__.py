"""The rewiring engine: which connections exist, and how they move while any torch model trains.

masks = initial_masks({"fc1": net.fc1.weight, "fc2": net.fc2.weight}, density=0.1, seed=0)
rewirer = Rewirer(weights, masks, optimizer, growth="gradient", every_steps=100, end_step=10_000, seed=0)
...
loss.backward(); rewirer.before_step(); optimizer.step(); rewirer.after_step()
"""
