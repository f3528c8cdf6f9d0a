"""What the black-box tests share: the proxy as a process, servers behind it, clients before it."""
