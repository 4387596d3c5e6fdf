"""What all apps stand on; it imports none of them."""
