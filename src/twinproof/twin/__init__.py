"""The domain, pure: statements, what they may say, and the folds that give them meaning."""
