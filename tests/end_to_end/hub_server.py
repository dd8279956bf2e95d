"""A small Hugging Face hub on this machine: the endpoints that `longspan pull` and huggingface_hub
ask, with large files redirected to a second server as the real one does."""

import hashlib
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler, hub):
        super().__init__(("127.0.0.1", 0), handler)
        self.hub = hub
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Hub:
    """`repositories`: {"ORG/NAME": {"files": {name: bytes}, "lfs": {names}, "token": ..., "claimed": {name: size}}}."""

    def __init__(self, repositories, commit="0123456789abcdef0123456789abcdef01234567"):
        self.repositories, self.commit = repositories, commit
        self.requests = []  # (server, method, path, headers)
        self.break_after = {}  # file name: bytes after which the connection is closed, once
        self.ignore_range = False
        self.unsatisfiable = set()  # names of files that are refused with 416
        self.corrupt = set()  # file names
        self.failures = []  # statuses to answer first
        self.storage = Server(StorageHandler, self)
        self.server = Server(HubHandler, self)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def requested(self, text, server="hub"):
        return [r for r in self.requests if r[0] == server and text in r[2]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, name, data, headers=()):
        hub = self.server.hub
        if name in hub.unsatisfiable:
            return self.answer(416)
        if name in hub.corrupt:
            data = bytes(len(data))
        begin, status = 0, 200
        wanted = self.headers.get("Range")
        headers = list(headers)
        if wanted and not hub.ignore_range:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(data):
                return self.answer(416)
            status = 206
            headers.append(("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}"))
        part = data[begin:]
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = hub.break_after.pop(name, None)
        self.wfile.write(part if limit is None else part[:limit])
        if limit is not None:
            self.close_connection = True


class StorageHandler(Handler):
    """Where LFS files are."""

    def do_GET(self):
        hub = self.server.hub
        hub.requests.append(("storage", self.command, self.path, dict(self.headers)))
        _, repository, name = urllib.parse.unquote(self.path).split("|")
        self.send_file(name, hub.repositories[repository]["files"][name])

    do_HEAD = do_GET


class HubHandler(Handler):
    def do_GET(self):
        hub = self.server.hub
        hub.requests.append(("hub", self.command, self.path, dict(self.headers)))
        if hub.failures:
            return self.answer(hub.failures.pop(0))
        path = urllib.parse.urlsplit(self.path).path
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        repository = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        if repository not in hub.repositories:
            return self.refuse(401, "RepoNotFound", "Invalid username or password.")
        entry = hub.repositories[repository]
        token = entry.get("token")
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            return self.refuse(401 if "Authorization" not in self.headers else 403, "GatedRepo",
                               f"Access to model {repository} is restricted.")
        revision = parts[5] if parts[0] == "api" else parts[3]
        if revision not in ("main", "v1", hub.commit):
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if parts[0] == "api":
            return self.answer(200, json.dumps(self.description(repository, entry)).encode())
        return self.resolve(repository, entry, "/".join(parts[4:]))

    do_HEAD = do_GET

    def refuse(self, status, code, message):
        self.answer(status, b"{}", [("X-Error-Code", code), ("X-Error-Message", message)])

    def description(self, repository, entry):
        siblings = []
        for name, data in entry["files"].items():
            size = entry.get("claimed", {}).get(name, len(data))
            sibling = {"rfilename": name, "size": size, "blobId": git_sha1(data)}
            if name in entry["lfs"]:
                digest = hashlib.sha256(data).hexdigest()
                sibling["lfs"] = {"size": len(data), "sha256": digest, "pointerSize": 130}
            siblings.append(sibling)
        return {"id": repository, "sha": self.server.hub.commit, "siblings": siblings}

    def resolve(self, repository, entry, name):
        hub = self.server.hub
        if name not in entry["files"]:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        data = entry["files"][name]
        headers = [("X-Repo-Commit", hub.commit)]
        if name not in entry["lfs"]:
            return self.send_file(name, data, headers + [("ETag", f'"{git_sha1(data)}"')])
        place = urllib.parse.quote(f"|{repository}|{name}")
        headers += [("X-Linked-Etag", f'"{hashlib.sha256(data).hexdigest()}"'),
                    ("X-Linked-Size", str(len(data))),
                    ("Location", f"http://localhost:{hub.storage.server_port}/{place}")]
        return self.answer(302, b"", headers)
