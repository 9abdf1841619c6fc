"""The rewiring engine: keeps any torch model sparse while it trains, and moves its connections.

weights = find_weights(net)
rewirer = Rewirer(weights, initial_masks(weights, density=0.1), optimizer, growth="gradient", end_step=10_000)
...
loss.backward(); rewirer.before_step(); optimizer.step(); rewirer.after_step()
"""
