#!/bin/sh
# First process of an emulated VM, in PID and mount namespaces of its own: makes the VM's root,
# where the host's system shows through and no write reaches it, and hands over to guest.sh.
#
# $1: the VM's folder, with devices, startup-script and guest.sh
set -eu

vm=$1
base=$vm/root
root=$base/new

mount -t tmpfs -o mode=755 vm "$base"
mkdir "$base/upper" "$base/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" vm "$root"

# A fresh Debian has nothing in these, and the host's user no business in the VM.
for place in usr/local root home; do
  mount -t tmpfs -o mode=755 "$(basename "$place")" "$root/$place"
done
for place in dev run; do
  mount -t tmpfs -o mode=755 "$place" "$root/$place"
done
mount -t tmpfs -o mode=1777 tmp "$root/tmp"

# The kernel is the host's: what would tune it for others is read-only, but dropping caches.
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --bind /proc/sys/vm/drop_caches "$root/proc/sys/vm/drop_caches"
mount -t sysfs -o ro sys "$root/sys"

mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mkfifo -m 622 "$root/dev/ttyS0"
ln -s ttyS0 "$root/dev/console"
mkdir -p "$root/dev/shm" "$root/dev/disk/by-id"
chmod 1777 "$root/dev/shm"
while read -r node major minor device; do
  mknod -m 660 "$root/dev/$node" b "$major" "$minor"
  ln -s "../../$node" "$root/dev/disk/by-id/google-$device"
done < "$vm/devices"

mkdir -p "$root/run/vm"
cp "$vm/guest.sh" "$vm/startup-script" "$root/run/vm/"
chmod 755 "$root/run/vm/startup-script"
# systemd is not there to be asked; PID 1 takes the signal instead.
for name in poweroff halt shutdown; do
  rm -f "$root/usr/sbin/$name"
  printf '#!/bin/sh\nkill -USR1 1\n' > "$root/usr/sbin/$name"
  chmod 755 "$root/usr/sbin/$name"
done
rm -f "$root/usr/sbin/reboot" "$root/usr/bin/systemctl"
cat > "$root/usr/bin/systemctl" << 'END'
#!/bin/sh
case " $* " in
  *" poweroff "* | *" halt "*) kill -USR1 1 ;;
  *) exit 1 ;;
esac
END
chmod 755 "$root/usr/bin/systemctl"

mkdir -p "$root/.host"
cd "$root"
pivot_root . .host
exec chroot . /bin/sh /run/vm/guest.sh < /dev/null
