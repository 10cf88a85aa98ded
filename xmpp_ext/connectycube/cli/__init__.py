"""`connectycube` on the command line. Install `connectycube[cli]`."""
