#!/usr/bin/env python3
"""A heartbeat beside unproved bodies: how long a one-thread gateway leaves everybody else waiting.

Usage: python3 benches/heartbeat.py [target/release/verigate] [PART OF A NAME ...]

A probe of the health path is sent each half millisecond while a stranger sends bodies of up to
64 MiB that prove nothing. Printed for each kind of body: the time until the answer, the longest
waits for a probe in milliseconds, the bytes that stay in the budget (0 is right) and the memory.
A wait counts as at most the CPU time that the gateway used meanwhile, so that a busy machine is not
taken for a pause. Needs Linux and Python 3.9; nothing else."""
import base64, gzip, json, os, socket, struct, subprocess, sys, tempfile, threading, time, urllib.request
import multiprocessing as mp

MIB = 1 << 20
ARGS = sys.argv[1:]
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


def route(name, provider, secrets, more=""):
    return (f'[[route]]\nname = "{name}"\npath = "/{name}"\nprovider = "{provider}"\nsecrets = {json.dumps(secrets)}\n'
            f'upstream = "http://127.0.0.1:9"\nmax_body = "64MiB"\n{more}\n')


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
    out.put(sorted(waits))


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
    return [
        ("nothing at all", "/one", {}, b"", 0),
        ("one key, 64 MiB", "/one", itellico, big, 0),
        ("one key, 64 MiB in chunks of 64 KiB", "/one", itellico, big, 65536),
        ("one key, 4 MiB in chunks of a byte", "/one", itellico, big[:4 * MIB], 1),
        ("four keys, 64 MiB", "/four", itellico, big, 0),
        ("nine keys, 64 MiB", "/nine", itellico, big, 0),
        ("16 signatures of Ed25519, 64 MiB", "/ed25519", ed25519, big, 0),
        ("ECDSA, 64 MiB", "/ecdsa", ecdsa, big, 0),
        ("JSON in ASCII, 20 MiB of UTF-8", "/box", box, "\u00e9".encode() * (10 * MIB), 0),
        ("a gzip bomb of 500 MiB", "/stream", stream, gzip.compress(bytes(500 * MIB), 6), 0),
        ("gzip, 1 MiB that inflates to 31", "/stream", stream, gzip.compress(os.urandom(MIB) + bytes(30 * MIB), 1), 0),
        ("a form of 60 MB, 1,000 fields", "/twilio", twilio, b"&".join(b"k%d=%b" % (i, b"v" * 60000) for i in range(1000)), 0),
        ("a form of 3,000,000 fields", "/twilio", twilio, b"&".join(b"k%d=%%41" % i for i in range(3_000_000)), 0),
        ("Adyen's JSON, 60 MiB of escapes", "/adyen", {"Content-Type": "application/json"}, adyen, 0),
    ]


def main():
    routes = (route("one", "itellico", plain("one", 1)) + route("four", "itellico", plain("four", 4)) + route("nine", "itellico", plain("nine", 9))
              + route("ed25519", "standard-webhooks", ["plain:whpk_" + base64.b64encode(p).decode() for p in POINTS[:2]])
              + route("ecdsa", "sendgrid", ["plain:" + P256]) + route("box", "box", plain("box", 2)) + route("stream", "stream", plain("stream", 2))
              + route("twilio", "twilio", plain("twilio", 2), 'public_url = "https://x.example"') + route("adyen", "adyen", ["plain:" + "45" * 32]))
    port, admin = free_port(), free_port()
    folder = tempfile.mkdtemp()
    file = os.path.join(folder, "verigate.toml")
    with open(file, "w") as f:
        f.write(f'[server]\nlisten = ["127.0.0.1:{port}"]\nthreads = 1\nmax_buffered = "2GiB"\nhealth_path = "/alive"\nbody_timeout = "120s"\n'
                f'[admin]\nlisten = "127.0.0.1:{admin}"\n{routes}')
    errors = open(os.path.join(folder, "errors"), "wb")
    gateway = subprocess.Popen([BINARY, "run", file], stdout=subprocess.DEVNULL, stderr=errors)
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
        for name, path, headers, body, chunk in kinds():
            if ARGS and not any(part in name for part in ARGS):
                continue
            stop, out = mp.Event(), mp.Queue()
            heart = mp.Process(target=beat, args=(port, gateway.pid, stop, out))
            heart.start()
            time.sleep(0.3)
            began = time.time()
            answer = send(port, path, headers, body, chunk)
            took = time.time() - began
            time.sleep(0.3)
            stop.set()
            waits = out.get()
            heart.join()
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics").read().decode()
            held = next(line.split()[1] for line in metrics.splitlines() if line.startswith("verigate_buffered_bytes "))
            memory = next(int(line.split()[1]) >> 10 for line in open(f"/proc/{gateway.pid}/status") if line.startswith("VmRSS"))
            print(f"{name:36} {took:6.2f} s  longest {waits[-1]:6.2f} ms, next {waits[-2]:5.2f}, median {waits[len(waits) // 2]:5.2f} of {len(waits)}"
                  f"  held {held}, {memory} MiB  {answer}", flush=True)
    finally:
        gateway.terminate()
        gateway.wait(15)


if __name__ == "__main__":
    main()
