#!/usr/bin/env python3
"""A heartbeat beside large bodies: how long a one-thread gateway leaves everybody else waiting.

Usage: python3 benches/heartbeat.py [target/release/verigate] [--rounds N] [PART OF A NAME ...]

A probe of the health path is sent each half millisecond while bodies of up to 64 MiB come, most of
them from a stranger. Printed for each kind of body, over all rounds:

- `stretch`: the longest CPU time in milliseconds for which the gateway's only worker thread did not
  look at its sockets, and how many stretches took more than 1, 2 and 5 ms. This is the gateway's
  own figure. benches/stretches.c measures it inside the gateway, so a C compiler is needed. Where
  another thread takes the loop over, so that large work holds up nothing, the figure is too large
  on a busy machine: the work goes on while that thread waits for a core.
- `beat`: the longest wait for a probe and the median. A wait counts as at most the CPU time that the
  whole gateway used meanwhile, but it still holds what the probe and the gateway waited for a core.
  The kind `another process` shows how long a wait without any work of the gateway can be.

Needs Linux, Python 3.9 and `cc`; nothing else."""
import base64, gzip, hashlib, hmac, json, os, socket, struct, subprocess, sys, tempfile, threading, time, urllib.request
import multiprocessing as mp

MIB = 1 << 20
ARGS = sys.argv[1:]
ROUNDS = 1
if "--rounds" in ARGS:
    at = ARGS.index("--rounds")
    ROUNDS = int(ARGS[at + 1])
    del ARGS[at:at + 2]
BINARY = ARGS.pop(0) if ARGS and os.path.exists(ARGS[0]) else "target/release/verigate"
# Three points of Ed25519 (RFC 8032 7.1) and the generator of P-256 as a key.
POINTS = [bytes.fromhex(x) for x in (
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")]
P256 = base64.b64encode(bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812d"
    "eb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")).decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


UPSTREAM = 9


def route(name, provider, secrets, more=""):
    return (f'[[route]]\nname = "{name}"\npath = "/{name}"\nprovider = "{provider}"\nsecrets = {json.dumps(secrets)}\n'
            f'upstream = "http://127.0.0.1:{UPSTREAM}"\nmax_body = "64MiB"\n{more}\n')


def plain(name, count):
    return [f"plain:a long secret of {name}, number {n}" for n in range(count)]


def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
        except OSError:
            pass
    return total / 1e9


def beat(port, pid, stop, out):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waits = []
    while not stop.is_set():
        used, began = cpu_seconds(pid), time.perf_counter()
        s.sendall(b"GET /alive HTTP/1.1\r\nHost: a\r\n\r\n")
        s.recv(4096)
        waits.append(min(time.perf_counter() - began, cpu_seconds(pid) - used) * 1000)
        time.sleep(0.0005)
    out.put(waits)


def sink(listener):
    """Takes what comes and answers 200 once a request of a declared length is whole."""
    def serve(s):
        buffer = memoryview(bytearray(MIB))
        try:
            while True:
                got, head = 0, b""
                while b"\r\n\r\n" not in head:
                    part = s.recv(4096)
                    if not part:
                        return
                    head += part
                head, rest = head.split(b"\r\n\r\n", 1)
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                left = int(lengths[0].split(b":")[1]) - len(rest) if lengths else 0
                while left > 0 and (got := s.recv_into(buffer)):
                    left -= got
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            pass
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def process(target, *args):
    made = mp.Process(target=target, args=args, daemon=True)
    made.start()
    return made


def loop_stretches(file):
    """Every stretch since the last call, in milliseconds."""
    with open(file, "r+b") as f:
        count, = struct.unpack("<Q", f.read(8))
        raw = f.read(24 * count)
        f.seek(0)
        f.write(bytes(8))
    return [min(cpu, wall) / 1e6 for cpu, wall, _ in struct.iter_unpack("<QQQ", raw)]


def send(port, path, headers, body, chunk):
    s = socket.create_connection(("127.0.0.1", port))
    s.settimeout(120)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    try:
        if chunk:
            s.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
            for i in range(0, len(body), chunk * 4096):
                part = body[i:i + chunk * 4096]
                s.sendall(b"".join(b"%x\r\n%b\r\n" % (len(part[j:j + chunk]), part[j:j + chunk]) for j in range(0, len(part), chunk)))
            s.sendall(b"0\r\n\r\n")
        else:
            s.sendall((head + f"Content-Length: {len(body)}\r\n\r\n").encode())
            s.sendall(body)
    except OSError:
        pass
    try:
        answer = s.recv(4096)
    except OSError as error:
        return repr(error)
    code = answer.split(b'"code":"')[1].split(b'"')[0].decode() if b'"code":"' in answer else ""
    return f"{answer[9:12].decode()} {code}"


def kinds():
    now = str(int(time.time()))
    big = b"x" * (64 * MIB - 64)
    itellico = {"X-Webhook-Timestamp": now, "X-Webhook-Signature-256": "0" * 64}
    made_up = " ".join("v1a," + base64.b64encode(POINTS[i % 3] + struct.pack("<I", i + 1) + bytes(28)).decode() for i in range(16))
    ed25519 = {"webhook-id": "m", "webhook-timestamp": now, "webhook-signature": made_up}
    der = bytes.fromhex("3026") + (bytes.fromhex("0211") + b"\x01" + bytes(15) + b"\x01") * 2
    ecdsa = {"X-Twilio-Email-Event-Webhook-Timestamp": now, "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(der).decode()}
    box = {"BOX-DELIVERY-TIMESTAMP": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "BOX-DELIVERY-ID": "a",
           "BOX-SIGNATURE-PRIMARY": base64.b64encode(bytes(32)).decode(), "BOX-SIGNATURE-ALGORITHM": "HmacSHA256", "BOX-SIGNATURE-VERSION": "1"}
    twilio = {"X-Twilio-Signature": base64.b64encode(bytes(20)).decode(), "Content-Type": "application/x-www-form-urlencoded"}
    stream = {"X-Signature": "0" * 64, "X-Webhook-Id": "a"}
    adyen = b'{"notificationItems":[{"NotificationRequestItem":{"a":"' + b"\\u00e9" * (10 * MIB) + b'"}}]}'
    event = b'{"action":"opened","text":"' + b"y" * (25 * 1000 * 1000 - 100) + b'"}'
    github = {"X-Hub-Signature-256": "sha256=" + hmac.new(plain("github", 1)[0][6:].encode(), event, hashlib.sha256).hexdigest(),
              "X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
    gitlab = {"X-Gitlab-Token": plain("gitlab", 1)[0][6:], "X-Gitlab-Event": "Push Hook", "Content-Type": "application/json"}
    named = b'{"object_kind":"push","text":"' + b"y" * (64 * MIB - 100) + b'"}'
    event_in = lambda unit: b'{"event_id":"a","event_type":"b","c":["' + unit * ((MIB - 100) // len(unit)) + b'"]}'
    texts = [("text", event_in(b"y")), ("escapes", event_in(b"\\n")), ("numbers", event_in(b'",1,1,1,1,"'))]
    # (name, path, headers, body, bytes of a chunk or 0, connections at once)
    return [
        ("nothing at all", "/one", {}, b"", 0, 1),
        (OTHER, "/", {}, big, 0, 1),
        ("one key, 64 MiB", "/one", itellico, big, 0, 1),
        ("one key, 64 MiB in chunks of 64 KiB", "/one", itellico, big, 65536, 1),
        ("one key, 8 MiB in chunks of a byte", "/one", itellico, big[:8 * MIB], 1, 1),
        ("four keys, 64 MiB", "/four", itellico, big, 0, 1),
        ("nine keys, 64 MiB", "/nine", itellico, big, 0, 1),
        ("16 signatures of Ed25519, 64 MiB", "/ed25519", ed25519, big, 0, 1),
        ("ECDSA, 64 MiB", "/ecdsa", ecdsa, big, 0, 1),
        ("JSON in ASCII, 20 MiB of UTF-8", "/box", box, "\u00e9".encode() * (10 * MIB), 0, 1),
        ("a gzip bomb of 500 MiB", "/stream", stream, gzip.compress(bytes(500 * MIB), 6), 0, 1),
        ("gzip, 1 MiB that inflates to 31", "/stream", stream, gzip.compress(os.urandom(MIB) + bytes(30 * MIB), 1), 0, 1),
        ("a form of 60 MB, 1,000 fields", "/twilio", twilio, b"&".join(b"k%d=%b" % (i, b"v" * 60000) for i in range(1000)), 0, 1),
        ("a form of 3,000,000 fields", "/twilio", twilio, b"&".join(b"k%d=%%41" % i for i in range(3_000_000)), 0, 1),
        ("Adyen's JSON, 60 MiB of escapes", "/adyen", {"Content-Type": "application/json"}, adyen, 0, 1),
        ("100 at once, one key, 2 MiB", "/one", itellico, big[:2 * MIB], 0, 100),
        ("100 at once, four keys, 250 KiB", "/four", itellico, big[:250 * 1024], 0, 100),
        ("100 at once, 7 of Ed25519, 10 bytes", "/ed25519", {**ed25519, "webhook-signature": " ".join(made_up.split()[:7])}, big[:10], 0, 100),
        ("100 at once, no route, 2 MiB", "/nowhere", {}, big[:2 * MIB], 0, 100),
        *(("100 at once, proved: HMAC, 1 MiB of " + name, "/one", {**itellico, "X-Webhook-Signature-256": hmac.new(
            plain("one", 1)[0][6:].encode(), text + b"." + now.encode(), hashlib.sha256).hexdigest()}, text, 0, 100) for name, text in texts),
        ("proved: a token, 64 MiB", "/gitlab", gitlab, named, 0, 1),
        ("proved: HMAC, 25 MB", "/github", github, event, 0, 1),
    ]


OTHER = "64 MiB to another process"


def crowd(port, path, headers, body, chunk, connections):
    """Sends the same request over all connections at once, and returns the answers that came."""
    answers = []
    senders = [threading.Thread(target=lambda: answers.append(send(port, path, headers, body, chunk))) for _ in range(connections)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return " / ".join(f"{answers.count(answer)} × {answer}" if connections > 1 else answer for answer in sorted(set(answers)))


def main():
    global UPSTREAM
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    UPSTREAM = listener.getsockname()[1]
    process(sink, listener)
    routes = (route("one", "itellico", plain("one", 1)) + route("four", "itellico", plain("four", 4)) + route("nine", "itellico", plain("nine", 9))
              + route("ed25519", "standard-webhooks", ["plain:whpk_" + base64.b64encode(p).decode() for p in POINTS[:2]])
              + route("ecdsa", "sendgrid", ["plain:" + P256]) + route("box", "box", plain("box", 2)) + route("stream", "stream", plain("stream", 2))
              + route("twilio", "twilio", plain("twilio", 2), 'public_url = "https://x.example"') + route("adyen", "adyen", ["plain:" + "45" * 32])
              + route("github", "github", plain("github", 1)) + route("gitlab", "gitlab", plain("gitlab", 1)))
    port, admin = free_port(), free_port()
    folder = tempfile.mkdtemp()
    file, measured, library = (os.path.join(folder, name) for name in ("verigate.toml", "stretches", "stretches.so"))
    with open(file, "w") as f:
        f.write(f'[server]\nlisten = ["127.0.0.1:{port}"]\nthreads = 1\nmax_buffered = "2GiB"\nhealth_path = "/alive"\nbody_timeout = "120s"\n'
                f'[admin]\nlisten = "127.0.0.1:{admin}"\n{routes}')
    with open(measured, "wb") as f:
        f.truncate(8 + 24 * 2_000_000)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stretches.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    errors = open(os.path.join(folder, "errors"), "wb")
    environment = {**os.environ, "LD_PRELOAD": library, "STRETCHES_FILE": measured, "STRETCHES_OF": "traffic"}
    gateway = subprocess.Popen([BINARY, "run", file], stdout=subprocess.DEVNULL, stderr=errors, env=environment)
    try:
        deadline = time.time() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if gateway.poll() is not None or time.time() > deadline:
                    sys.exit("the gateway did not start:\n" + open(errors.name).read())
                time.sleep(0.05)
        for name, *request in kinds():
            if ARGS and not any(part in name for part in ARGS):
                continue
            waits, stretches, longest, took = [], [], [], 0
            for _ in range(ROUNDS):
                stop, out = mp.Event(), mp.Queue()
                heart = process(beat, port, gateway.pid, stop, out)
                time.sleep(0.3)
                loop_stretches(measured)
                began = time.time()
                replies = mp.Queue()
                sender = process(lambda: replies.put(crowd(UPSTREAM if name == OTHER else port, *request)))
                answer = replies.get()
                took += time.time() - began
                sender.join()
                time.sleep(0.3)
                own = loop_stretches(measured)
                longest.append(max(own))
                stretches += own
                stop.set()
                waits += out.get()
                heart.join()
            waits.sort()
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics").read().decode()
            held = next(line.split()[1] for line in metrics.splitlines() if line.startswith("verigate_buffered_bytes "))
            memory = next(int(line.split()[1]) >> 10 for line in open(f"/proc/{gateway.pid}/status") if line.startswith("VmRSS"))
            above = ", ".join(str(sum(each > ms for each in stretches)) for ms in (1, 2, 5))
            print(f"{name:36} {took / ROUNDS:6.2f} s  stretch {max(longest):5.2f} ms (rounds: median {sorted(longest)[ROUNDS // 2]:5.2f}; above 1, 2, 5: {above})"
                  f"  beat {waits[-1]:5.2f} ms, median {waits[len(waits) // 2]:5.2f} of {len(waits)}  held {held}, {memory} MiB  {answer}", flush=True)
    finally:
        gateway.terminate()
        gateway.wait(15)


if __name__ == "__main__":
    main()
