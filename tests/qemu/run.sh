#!/bin/sh
# The BlueZ radio against the real bluetoothd and the real Linux Bluetooth stack, in a virtual
# machine (docs/radio.md). Optional: nothing else needs it. Debian 12, root for apt-get only:
#   apt-get install qemu-system-x86 bluez dbus-daemon busybox-static kmod
#   apt-get download "$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p')"
#   tests/qemu/run.sh linux-image-*.deb
# The machine sees this computer's files read-only and has two Bluetooth controllers of the
# virtual air. Takes four to six minutes without /dev/kvm, which it does not use.
set -eu
package=${1:?"usage: tests/qemu/run.sh LINUX-IMAGE.deb"}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

dpkg -x "$package" "$work/kernel"
version=$(ls "$work/kernel/lib/modules")
depmod -b "$work/kernel" "$version"

# A small first file system: enough to find the rest of this computer.
first=$work/first
mkdir -p "$first/bin" "$first/modules" "$first/proc" "$first/sys" "$first/dev" "$first/guest"
cp "$(command -v busybox)" "$first/bin/busybox"
: > "$work/order"
for module in virtio_pci 9pnet_virtio 9p overlay af_alg algif_hash algif_skcipher cmac ecb \
    ccm ecdh_generic bluetooth hci_vhci; do
    modprobe -d "$work/kernel" -S "$version" --show-depends "$module" |
        sed -n 's/^insmod //p' >> "$work/order"
done
awk '!seen[$0]++' "$work/order" | while read -r file; do
    cp "$file" "$first/modules/"
    basename "$file" >> "$first/modules/order"
done
cat > "$first/init" <<END
#!/bin/busybox sh
busybox mount -t proc proc /proc; busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
while read m; do busybox insmod /modules/\$m; done < /modules/order
echo "modules loaded"
busybox mkdir -p /lower /upper /guest
busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /lower
busybox mount -t tmpfs tmpfs /upper; busybox mkdir /upper/up /upper/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/up,workdir=/upper/work over /guest
for m in proc sys dev; do busybox mount --move /\$m /guest/\$m; done
busybox mount -t tmpfs tmpfs /guest/run; busybox mount -t tmpfs tmpfs /guest/tmp
busybox ip link set lo up
busybox chroot /guest /bin/sh $here/inside.sh
busybox poweroff -f
END
chmod +x "$first/init"
(cd "$first" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > "$work/first.gz"

timeout 600 qemu-system-x86_64 -accel tcg -cpu Nehalem -m 1500 -smp 2 -nographic -no-reboot \
    -kernel "$work/kernel/boot/vmlinuz-$version" -initrd "$work/first.gz" \
    -append "console=ttyS0 quiet panic=-1 cryptomgr.notests" -nic none \
    -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=host,mount_tag=host </dev/null | tee "$work/said"
grep -q "^everything held" "$work/said"
