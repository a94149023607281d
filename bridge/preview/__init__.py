"""What an alert would look like at every target, before anything is sent."""
