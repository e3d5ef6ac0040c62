"""Webhook servers: reviews over HTTPS, with certificates of their own making, in little memory."""
