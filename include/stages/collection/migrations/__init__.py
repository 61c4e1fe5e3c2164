"""What lakes of earlier versions need to be read by this one."""
