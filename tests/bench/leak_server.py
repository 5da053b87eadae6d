"""One server process on a port, with the runtime that writes down what it holds."""

import sys

from gemproxy.serving import bound_socket, listen, main

if __name__ == "__main__":
    sock = bound_socket("127.0.0.1", int(sys.argv[1]))
    listen(sock)
    runtime = ("--runtime", "tests.bench.watched:runtime")
    main(["--fd", str(sock.detach()), "--server", "uvicorn", *runtime])
