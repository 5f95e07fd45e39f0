"""What people see, for the phone and the service alike: page frame, style, both languages."""
