"""What every page shares: layout, navigation, theme, language, session."""
