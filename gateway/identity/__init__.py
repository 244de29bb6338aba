"""Who asks, and what they may: API keys, tokens, roles, and the budget of each principal. Knows no transport."""
