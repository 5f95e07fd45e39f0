"""The app: a JSON interface over the phone, and the pages that a person sees."""
