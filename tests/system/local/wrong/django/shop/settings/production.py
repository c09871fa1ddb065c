from .base import *

EMAIL_HOST = 'smtp.example.org'
EMAIL_PORT = 465
EMAIL_USE_TLS = True
EMAIL_HOST_USER = 'shop@example.org'
EMAIL_HOST_PASSWORD = 'correct-horse'

if os.environ.get('STAGING'):
    EMAIL_HOST = 'smtp-staging.example.org'
