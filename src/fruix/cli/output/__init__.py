"""What commands print, in its forms."""
