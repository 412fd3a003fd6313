# SPDX-License-Identifier: MIT
# Applets that the other scripts leave out: editors and patches, other compressors, identities,
# limits, special files, other people's archives.
umask 022
seq 1 2000 >numbers
lzop -c numbers >numbers.lzo; lzop -dc numbers.lzo | md5sum; lzop -t numbers.lzo
echo /Td6WFoAAAFpIt42AgAhARwAAAAQz1jMAQAMaGVsbG8sIHdvcmxkCgAAAABTdCT0AAEhDXXcqNKQQpkNAQAAAAABWVo= |
	base64 -d >hello.xz
xzcat hello.xz; unxz -c hello.xz; xz -dc <hello.xz
echo XQAAgAD//////////wA0GUnuje+Ma8qVWRAEQO3kG//+4PAA | base64 -d >hello.lzma
lzcat hello.lzma; unlzma -c hello.lzma; lzma -dc <hello.lzma
bzip2 -c numbers >numbers.bz2; bzcat numbers.bz2 | md5sum
gzip -c numbers >numbers.gz; uncompress -h >/dev/null 2>&1; echo "uncompress: $?"
zcat numbers.gz | cmp - numbers && echo same
head -c 100 numbers.bz2 | bunzip2 >/dev/null 2>&1; echo "cut: $?"
printf 'a  b\n        c\td\n' | unexpand | od -c | head -n 3
printf 'a\nb\n' >dos; unix2dos dos; od -c dos; dos2unix dos; od -c dos
printf '1,2p\n$p\n2d\n1s/1/one/\nw out\nq\n' | ed numbers; head -n 3 out
printf 'one\ntwo\nthree\n' >a; printf 'one\n2\nthree\nfour\n' >b
diff -u a b | sed 's/\t.*//' >change; cat change
cp a c; patch c <change; cmp b c && echo patched; patch -R c <change; cmp a c && echo back
echo '+(one|two)' | egrep '\+'
printf 'a.b\naxb\n' | fgrep a.b; printf 'x1\ny\n' | grep -E '[0-9]$'
getopt -o ab: --long long,with: -- -a -b value --long rest more; echo $?
getopt -o a -- -z 2>/dev/null; echo "getopt: $?"
mkfifo pipe; ls -l pipe | cut -c 1; (echo through >pipe) & cat pipe; wait; rm pipe
touch owned
shred -n 1 -z -s 100 owned; od -c owned | head -n 3; shred -u owned; ls owned 2>/dev/null; echo $?
fallocate -l 10000 room; stat -c %s room; truncate -s 20k room; stat -c %s room; unlink room
sync; fsync numbers 2>/dev/null; sync; echo "sync: $?"
seq 1 2000 | sha3sum; seq 1 2000 | crc32
printf 'some text that is long enough\n' | uuencode name | uudecode -o -
printf 'text\n' >one
printf '!<arch>\none/            0           0     0     100644  5         `\ntext\n\n' >lib.a
ar -t lib.a; ar -p lib.a one; rm -f one; ar -x lib.a; cat one
mkdir parts; printf '#!/bin/sh\necho part $1\n' >parts/first; chmod +x parts/first
run-parts -a arg parts; run-parts --test parts | sed 's/.*parts/parts/'
setsid sh -c 'echo in a session'; nohup sh -c 'echo not hung up' 2>/dev/null
(ulimit -f 8; dd if=/dev/zero of=large bs=1k count=64 2>/dev/null); echo "limit: $?"; wc -c <large
(ulimit -v 4000; sh -c 'x=$(seq 1 2000000); echo ${#x}' >/dev/null 2>&1) &&
	echo unlimited || echo limited
taskset 1 sh -c 'echo on one processor'; taskset -p $$ >/dev/null; echo $?
usleep 1000; timeout 1 sleep 5; echo "timeout: $?"; timeout -s KILL 1 sleep 5; echo "killed: $?"
ipcalc -bnm 10.1.2.3/20 2>/dev/null
ascii 2>/dev/null | head -n 3; hostid | wc -c
echo word | mkpasswd -m md5 -S saltsalt -s 2>/dev/null
start-stop-daemon -S -x /bin/true -- 2>/dev/null
echo "started: $?"
sleep 30 & kill -s STOP $!; kill -s CONT $!; kill $!; wait $!; echo "terminated: $?"
mkdosfs -h >/dev/null 2>&1; truncate -s 1M disk; mke2fs -F disk >/dev/null 2>&1; echo "mke2fs: $?"
truncate -s 1M disk; mkswap disk 2>/dev/null | sed 's/UUID.*//'; wc -c <disk
printf ':set\n:wq\n' | less 2>/dev/null | tail -n 1
printf 'one\ntwo\n' | ts '%Y' | wc -l; sysctl kernel.nothing 2>/dev/null; echo "sysctl: $?"
trap 'echo caught' USR1; kill -USR1 $$; kill -l 15; printf '%s\n' *.bz2 n[a-u]*s
