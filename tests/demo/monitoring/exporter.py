#!/usr/bin/env python3
"""Serves vyx_metrics_text() to Prometheus, one connection a scrape. psql says how to connect: PGHOST, PGUSER, PGDATABASE.

usage: exporter.py [ADDRESS:PORT]      (127.0.0.1:9752 unless given; the role is a member of pg_monitor)
"""
import http.server
import subprocess
import sys

ASK = ["psql", "--no-psqlrc", "--no-password", "--no-align", "--tuples-only", "--command", "SELECT vyx_metrics_text()"]


class Exporter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/metrics":
            self.send_error(404)
            return
        try:
            answer = subprocess.run(ASK, capture_output=True, timeout=9, check=True).stdout
        except (OSError, subprocess.SubprocessError) as error:
            print(error, getattr(error, "stderr", b"") or "", file=sys.stderr)
            self.send_error(503)  # Prometheus says: up == 0
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


address, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9752").rpartition(":")
http.server.ThreadingHTTPServer((address, int(port)), Exporter).serve_forever()
