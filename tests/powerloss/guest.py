"""The guest: a kernel of Debian, and a file system in memory with the gateway, the libraries that
it is linked to, a shell, and a script as init that checks what is on the disk and starts the
gateway."""

import os
import re
import stat
import subprocess

MODULES = {
    "qemu": ["virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "ext4", "crc32c_generic"],
    "uml": ["nbd", "ext4", "crc32c_generic"],
}
# The network's card, the disk, and what makes the disk appear.
CARD = {"qemu": "eth0", "uml": "vec0"}
DISK = {"qemu": "/dev/vda", "uml": "/dev/nbd0"}
ATTACH = {"qemu": "", "uml": "/usr/sbin/nbd-client 10.0.2.2 %d /dev/nbd0 -name disk -nonetlink"}

INIT = """#!/bin/sh
/bin/busybox mkdir -p /proc /sys /dev /state /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$module; done
/bin/busybox ip link set lo up
/bin/busybox ip address add 10.0.2.15/24 dev CARD
/bin/busybox ip link set CARD up
/bin/busybox ip route add default via 10.0.2.2
ATTACH
/bin/busybox mount -t ext4 DISK /state || echo "powerloss: mount failed"
if [ -e /state/gateway/queue.db ]; then
    /verigate state check /state/gateway
    echo "powerloss: check $?"
fi
echo "powerloss: start"
/verigate run --config /verigate.toml >/dev/null
echo "powerloss: ended $?"
/bin/busybox poweroff -f
"""


def initramfs(kind, program, modules, disk_port, config, secret):
    """The bytes of the archive, in the kernel's format. `modules` is the folder of its modules."""
    attach = ATTACH[kind] % disk_port if kind == "uml" else ""
    init = INIT.replace("CARD", CARD[kind]).replace("DISK", DISK[kind]).replace("ATTACH", attach)
    archive = Archive()
    archive.add("init", init.encode(), 0o755)
    archive.link("bin/sh", "busybox")
    programs = {"bin/busybox": "/bin/busybox", "verigate": program}
    if kind == "uml":
        programs["usr/sbin/nbd-client"] = "/usr/sbin/nbd-client"
    needed = set()
    for name, path in programs.items():
        archive.add(name, read(path), 0o755)
        needed.update(libraries(path))
    for library in sorted(needed):
        archive.add(library.lstrip("/"), read(library), 0o755)
    archive.add("verigate.toml", config.encode(), 0o644)
    archive.add("secret", secret.encode(), 0o600)
    order = []
    for path in module_order(modules, MODULES[kind]):
        name = os.path.basename(path)
        order.append(name)
        archive.add("modules/" + name, read(os.path.join(modules, path)), 0o644)
    archive.add("modules/order", "\n".join(order).encode(), 0o644)
    return archive.bytes()


def libraries(program):
    listed = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def module_order(folder, names):
    """The paths of the modules below `folder` in an order in which each finds what it needs. What
    the kernel has built in is left out."""
    # A kernel that was only unpacked has no list of what needs what.
    if not os.path.exists(os.path.join(folder, "modules.dep")):
        root = folder.split("/lib/modules/")[0]
        subprocess.run(["depmod", "-b", root, os.path.basename(folder)], check=True)
    needs = {}
    with open(os.path.join(folder, "modules.dep")) as lines:
        for line in lines:
            path, others = line.split(":")
            needs[path] = others.split()
    paths = {os.path.basename(path).split(".")[0].replace("-", "_"): path for path in needs}
    order = []
    for name in names:
        path = paths.get(name)
        if path is None:
            continue
        for needed in [*reversed(needs[path]), path]:
            if needed not in order:
                order.append(needed)
    return order


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Archive:
    """An archive of cpio's format `newc`."""

    def __init__(self):
        self.parts = []
        self.folders = set()
        self.count = 0

    def add(self, name, data, mode):
        self.parents(name)
        self.entry(name, data, stat.S_IFREG | mode)

    def link(self, name, target):
        self.parents(name)
        self.entry(name, target.encode(), stat.S_IFLNK | 0o777)

    def parents(self, name):
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            if folder not in self.folders:
                self.folders.add(folder)
                self.entry(folder, b"", stat.S_IFDIR | 0o755)

    def entry(self, name, data, mode):
        self.count += 1
        numbers = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name.encode() + b"\0"
        self.parts += [padded(head), padded(data)]

    def bytes(self):
        self.entry("TRAILER!!!", b"", 0)
        return b"".join(self.parts)


def padded(data):
    return data + b"\0" * (-len(data) % 4)
