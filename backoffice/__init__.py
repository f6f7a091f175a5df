"""What joins several apps on staff's screens: the admin site, the home page, the transfer history."""
