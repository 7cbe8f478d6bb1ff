#!/bin/sh
# PID 1 inside an emulated VM: runs the startup script as Google's guest agent does, and on
# poweroff ends all processes and unmounts all disks, as systemd does.
set -u

umount -l /.host
rmdir /.host
unset OLDPWD # some shells export where they were before
off=
trap 'off=1' USR1
: > /run/vm/up
cat <> /dev/ttyS0 & # it holds the pipe open for writing too, so it never sees an end
echo "emulator: booting, kernel $(uname -r) of the host"

if [ -s /run/vm/startup-script ]; then
  mkfifo /run/vm/log
  sed -u 's/^/startup-script: /' < /run/vm/log &
  {
    /run/vm/startup-script
    status=$?
    if [ "$status" -ne 0 ]; then
      echo "Script \"startup-script\" failed with error: exit status $status"
    fi
    echo "Finished running startup scripts."
  } > /run/vm/log 2>&1 &
fi

while [ -z "$off" ]; do
  sleep 3600 &
  wait $!
done

alive() {
  for stat in /proc/[0-9]*/stat; do
    [ "$stat" = /proc/1/stat ] && continue
    { read -r line < "$stat"; } 2> /dev/null || continue
    case ${line##*) } in
      Z*) ;;
      *) return 0 ;;
    esac
  done
  return 1
}

echo "emulator: powering off"
kill -TERM -1
tries=0
while alive && [ "$tries" -lt 50 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
kill -KILL -1
tac /proc/mounts | while read -r device place _; do
  case $device in
    /dev/*) umount "$(printf '%b' "$place")" ;;
  esac
done
echo "emulator: powered off"
