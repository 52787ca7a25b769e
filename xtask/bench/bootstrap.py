#!/usr/bin/env python3
"""How long the function takes to its first question for work, and the most memory that it has held by then.

    python3 xtask/bench/bootstrap.py BOOTSTRAP [RUNS]

Plays Lambda's Runtime API on loopback. The function gets a stack's configuration and credentials that mean nothing; before
its first message it calls nobody.
"""
import http.server
import json
import os
import statistics
import subprocess
import sys
import threading
import time

CONFIG = {
    "bakehouse": 1, "name": "bench", "region": "us-east-1", "account": "123456789012", "table": "bench",
    "inbox_url": "http://127.0.0.1:1/123456789012/bench-inbox", "bucket": "bench", "builds_log_group": "/bench",
    "host_queue_prefix": "bench-host-", "host_role_arn": "arn:aws:iam::123456789012:role/bench",
}


def once(program):
    asked = threading.Event()

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.at = time.monotonic()
            asked.set()
            time.sleep(1)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_GROUP_NAME": "bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x", "BAKEHOUSE_CONFIG": json.dumps(CONFIG),
    }
    began = time.monotonic()
    process = subprocess.Popen([program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not asked.wait(30):
            sys.exit("it did not ask for work within 30 s")
        with open(f"/proc/{process.pid}/status") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        return (asked.at - began) * 1000, peak / 1024
    finally:
        process.kill()
        process.wait()
        server.shutdown()


def main():
    program, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    once(program)
    took, peak = zip(*(once(program) for _ in range(runs)))
    print(f"size {os.path.getsize(program) / 1e6:.1f} MB")
    print(f"init median {statistics.median(took):.1f} ms, most {max(took):.1f} ms, of {runs} runs")
    print(f"peak memory {max(peak):.1f} MiB")


main()
