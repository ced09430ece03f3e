"""What people read and how it reaches them: words, providers in their order, money. Owns no table."""
