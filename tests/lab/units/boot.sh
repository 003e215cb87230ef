#!/bin/bash
# systemd as process 1 of namespaces of its own, on a root that is thrown away: boot.sh FOLDER REPOSITORY PYTHON SITE
#
# Exit 77: the machine has no such thing, said in one line. FOLDER takes what inside.py tells. PYTHON is an interpreter's prefix, SITE its packages: the units run as a user that
# may not enter anybody's home, so both are shown at /opt. Nothing outside changes but FOLDER and a control group, which
# goes with the last process in it.
set -euo pipefail

if [ "${5-}" != inside ]; then
    unshare --mount --pid --fork --uts --ipc --net --cgroup true 2>/dev/null || {
        echo "namespaces for a machine of its own"
        exit 77
    }
    # A group of its own: systemd takes what it finds at the root of its control group namespace.
    at=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    group=$at/conntap-units-$$
    mkdir "$group" 2>/dev/null || { echo "control groups that may be made"; exit 77; }
    trap 'find "$group" -depth -type d -exec rmdir {} + 2>/dev/null' EXIT
    (echo $BASHPID >"$group/cgroup.procs" && exec unshare --mount --propagation private --pid --fork --kill-child \
        --uts --ipc --net --cgroup "$0" "$@" inside)
    exit
fi

folder=$1 repository=$2 python=$3 site=$4
mount -t tmpfs lab "$folder/root"
mkdir "$folder/root"/{up,work,new}
new=$folder/root/new
mount -t overlay -o "lowerdir=/,upperdir=$folder/root/up,workdir=$folder/root/work" lab "$new" 2>/dev/null || {
    echo "overlay over its root"
    exit 77
}
mkdir -p "$new"/opt/{python,site,source,repository,told} "$new/old"
mount -t proc lab "$new/proc"
mount -t sysfs -o ro lab "$new/sys"
mount -t cgroup2 lab "$new/sys/fs/cgroup" 2>/dev/null || {
    echo "control groups in a namespace"
    exit 77
}
mount --rbind /dev "$new/dev"
for one in dev/shm run tmp var/lib; do mount -t tmpfs lab "$new/$one"; done
mount --bind "$python" "$new/opt/python"
mount --bind "$site" "$new/opt/site"
mount --bind "$repository/python" "$new/opt/source"
mount --bind "$repository" "$new/opt/repository"
mount --bind "$folder" "$new/opt/told"
cd "$new"
pivot_root . old
umount -l /old

# What a package does.
packaging=/opt/repository/packaging
cat >/usr/bin/lab-python <<'SH'
#!/bin/sh
export PYTHONHOME=/opt/python LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/source:/opt/site PYTHONDONTWRITEBYTECODE=1
exec /opt/python/bin/python3 "$@"
SH
cat >/usr/bin/conntap <<'SH'
#!/bin/sh
exec lab-python -c "import sys; from conntap.cli import start; sys.exit(start())" "$@"
SH
chmod 755 /usr/bin/lab-python /usr/bin/conntap
mkdir -p /etc/systemd /etc/conntap
rm -rf /etc/systemd/system
mkdir /etc/systemd/system
cp $packaging/systemd/*.service /etc/systemd/system
systemd-sysusers $packaging/sysusers.d/conntap.conf
systemd-tmpfiles --create $packaging/tmpfiles.d/conntap.conf
cp $packaging/etc/conntap/collect.toml /etc/conntap
printf '[[sink]]\ntarget = "parquet:/var/lib/conntap"\n' >/etc/conntap/log.toml

# A machine that does nothing else: no journal, no login, one job.
for unit in conntap-log conntap-collect conntap-guard; do
    mkdir "/etc/systemd/system/$unit.service.d"
    printf '[Unit]\nDefaultDependencies=no\n[Service]\nStandardError=append:/opt/told/%s.err\n' $unit \
        >"/etc/systemd/system/$unit.service.d/lab.conf"
done
cat >/etc/systemd/system/lab.service <<UNIT
[Unit]
DefaultDependencies=no
Wants=conntap-log.service conntap-collect.service conntap-guard.service
After=conntap-log.service conntap-collect.service conntap-guard.service
[Service]
Type=oneshot
StandardOutput=append:/opt/told/inside.out
StandardError=append:/opt/told/inside.out
ExecStart=/usr/bin/lab-python /opt/repository/tests/lab/units/inside.py
ExecStopPost=/bin/systemctl --no-block exit
UNIT
ip link set lo up
for one in acct timestamp events; do echo 1 >/proc/sys/net/netfilter/nf_conntrack_$one; done
nft 'table inet lab { chain own { type filter hook output priority filter; ct state new accept; }; }'
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=lab.service --log-target=console --show-status=no
