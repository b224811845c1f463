"""A disk with a volatile write cache, served to the guest as a network block device.

What was written stays in memory until the guest asks for a flush, as in the cache of a disk. A cut
of the power keeps of it what the caller says: nothing, all, or each sector by chance, so that
writes land out of order and in part.
"""

import contextlib
import os
import random
import socket
import struct
import threading

SECTOR = 512
OPTION_MAGIC = b"IHAVEOPT"
REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC = 0x25609513
ANSWER_MAGIC = 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
EXPORT_NAME, INFO, GO = 1, 6, 7
ACK, INFORMATION, UNSUPPORTED = 1, 3, 0x80000001
READ, WRITE, LEAVE, FLUSH = 0, 1, 2, 3
FUA = 1
INVALID = 22


class Disk:
    """`honest = False` makes flushes do nothing: a disk that lies, which the check must find."""

    def __init__(self, image, address, honest=True):
        self.file = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.file).st_size
        self.honest = honest
        self.pending = {}
        self.flushes = 0
        self.lock = threading.Lock()
        self.connection = None
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def cut(self, kept):
        """The power goes: each sector that was not flushed is kept with the probability `kept`.
        Answers how many there were, and how many were kept."""
        # The guest's end may not have been able to say that it is gone.
        if self.connection:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        with self.lock:
            there = len(self.pending)
            landed = {at: data for at, data in self.pending.items() if random.random() < kept}
            self.pending = landed
            self.land()
            return there, len(landed)

    def land(self):
        for at, data in self.pending.items():
            os.pwrite(self.file, data, at * SECTOR)
        self.pending = {}

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            self.connection = connection
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.greet(connection)
                self.requests(connection)
            except (EOFError, OSError):
                pass
            connection.close()

    def greet(self, connection):
        connection.sendall(
            b"NBDMAGIC" + OPTION_MAGIC + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES)
        )
        take(connection, 4)
        export = struct.pack(">QH", self.size, HAS_FLAGS | SEND_FLUSH | SEND_FUA)
        while True:
            magic, option, length = struct.unpack(">8sII", take(connection, 16))
            if magic != OPTION_MAGIC:
                raise EOFError("not an option")
            take(connection, length)

            def reply(kind, data=b"", option=option):
                connection.sendall(
                    struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data
                )

            if option == EXPORT_NAME:
                connection.sendall(export)
                return
            if option in (INFO, GO):
                reply(INFORMATION, struct.pack(">H", 0) + export)
                reply(ACK)
                if option == GO:
                    return
            else:
                reply(UNSUPPORTED)

    def requests(self, connection):
        while True:
            magic, flags, kind, handle, at, length = struct.unpack(">IHHQQI", take(connection, 28))
            if magic != REQUEST_MAGIC or kind == LEAVE:
                return
            data = take(connection, length) if kind == WRITE else b""
            error, answer = 0, b""
            with self.lock:
                if kind == READ:
                    answer = self.read(at, length)
                elif kind == WRITE:
                    for start in range(0, length, SECTOR):
                        self.pending[(at + start) // SECTOR] = data[start : start + SECTOR]
                elif kind != FLUSH:
                    error = INVALID
                if kind == FLUSH or flags & FUA:
                    self.flushes += 1
                    if self.honest:
                        self.land()
            connection.sendall(struct.pack(">IIQ", ANSWER_MAGIC, error, handle) + answer)

    def read(self, at, length):
        data = bytearray(os.pread(self.file, length, at))
        if self.pending:
            for start in range(0, length, SECTOR):
                newer = self.pending.get((at + start) // SECTOR)
                if newer:
                    data[start : start + SECTOR] = newer
        return bytes(data)


def take(connection, length):
    parts = []
    while length:
        part = connection.recv(min(length, 1 << 20))
        if not part:
            raise EOFError("the other side has gone")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
