"""What every page is drawn with: the bridge to the loop, navigation, dialogs, formats."""
