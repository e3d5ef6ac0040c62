"""What runs inside the OpenStack environment: the bodies of the services, and drivers that need no hardware.

Nothing here imports `kaas_lab`: the two live in different virtual environments. What a service has to know stands in
the site's `site.json`, which the supervising side writes.
"""
