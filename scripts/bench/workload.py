# SPDX-License-Identifier: GPL-2.0
"""Programs' memory to record, made of real data: what there is to know about a kernel's source files.

workload.py python DIR          hold it as a Python program would, until killed
workload.py redis DIR SOCKET    store it in a redis-server, until that is killed
workload.py database DIR        store it in tables of an SQLite database in memory, until killed
"""
import collections
import hashlib
import json
import os
import re
import socket
import sqlite3
import sys


def records(top):
    """A dictionary for each few lines of the source files below TOP."""
    for where, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(files):
            if not name.endswith((".c", ".h", ".rst")):
                continue
            path = os.path.join(where, name)
            with open(path, encoding="utf-8", errors="replace") as f:
                lines = f.readlines()
            size = sum(map(len, lines))
            for first in range(0, len(lines), 8):
                part = lines[first:first + 8]
                words = re.findall(r"[A-Za-z_]\w+", "".join(part))
                yield {
                    "id": f"{os.path.relpath(path, top)}:{first + 1}",
                    "text": [line.strip() for line in part if line.strip()],
                    "words": collections.Counter(words),
                    "share": sum(map(len, part)) / (size or 1),
                    "density": len(words) / (sum(map(len, part)) or 1),
                    "links": {word: hash(word) & 0xffff for word in words[:4]},
                }


def hold(top):
    store, vectors = [], []
    for record in records(top):
        record["json"] = json.dumps(record)
        vectors.append([count * record["density"] for count in record["words"].values()])
        store.append(record)
    raise SystemExit("all of it is in memory")


def command(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def feed(top, path):
    with socket.socket(socket.AF_UNIX) as redis:
        redis.connect(path)
        for record in records(top):
            key, file = record["id"], record["id"].partition(":")[0]
            batch = [command("SET", "chunk:" + key, json.dumps(record)),
                     command("RPUSH", "chunks:" + file, key)]
            batch += [command("ZADD", "words", count, word) for word, count in record["words"].items()]
            try:
                redis.sendall(b"".join(batch))
                answers = 0
                while answers < len(batch):     # a line each
                    got = redis.recv(1 << 16)
                    if not got:
                        return
                    answers += got.count(b"\n")
            except OSError:
                return      # it has enough, and was ended


def database(top):
    """Tables with indexes; some rows are changed and some deleted again."""
    db = sqlite3.connect(":memory:")
    db.executescript("""
        CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT UNIQUE, lines INTEGER);
        CREATE TABLE chunk (id INTEGER PRIMARY KEY, file INTEGER REFERENCES file, first INTEGER,
                            text TEXT, density REAL, share REAL, digest BLOB);
        CREATE TABLE word (text TEXT, chunk INTEGER REFERENCES chunk, count INTEGER);
        CREATE INDEX chunk_place ON chunk (file, first);
        CREATE INDEX word_text ON word (text, chunk);
    """)
    for number, record in enumerate(records(top)):
        path, _, first = record["id"].partition(":")
        db.execute("INSERT OR IGNORE INTO file (path, lines) VALUES (?, 0)", (path,))
        db.execute("UPDATE file SET lines = lines + ? WHERE path = ?", (len(record["text"]), path))
        text = "\n".join(record["text"])
        db.execute("INSERT INTO chunk VALUES (?, (SELECT id FROM file WHERE path = ?), ?, ?, ?, ?, ?)",
                   (number, path, int(first), text, record["density"], record["share"],
                    hashlib.sha256(text.encode()).digest()))
        db.executemany("INSERT INTO word VALUES (?, ?, ?)",
                       ((word, number, count) for word, count in record["words"].items()))
        if number % 16 == 15:
            db.execute("DELETE FROM word WHERE chunk = ?", (number - 7,))
            db.execute("UPDATE chunk SET text = text || ? WHERE id = ?", (text, number - 3))
    raise SystemExit("all of it is in memory")


if sys.argv[1] == "python":
    hold(sys.argv[2])
elif sys.argv[1] == "database":
    database(sys.argv[2])
else:
    feed(*sys.argv[2:4])
