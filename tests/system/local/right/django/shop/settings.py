"""Django settings for shop."""
import os

DEBUG = False
SECRET_KEY = os.environ['SECRET_KEY']

EMAIL_BACKEND = 'django.core.mail.backends.smtp.EmailBackend'
EMAIL_HOST = "smtp.example.org"  # our provider
EMAIL_PORT = 587
EMAIL_USE_TLS = True
EMAIL_HOST_USER = 'shop@example.org'
EMAIL_HOST_PASSWORD = os.environ['EMAIL_HOST_PASSWORD']
