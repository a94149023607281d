"""What people would use instead of the bridge, each as its own documentation advises, for the same job.

The job: an opening puts its text on every board (PUT) and sends one mail; an ending clears every board (DELETE) and
sends one mail. The files ending in ``_app`` run in an environment of their own that has only what is compared.
"""
