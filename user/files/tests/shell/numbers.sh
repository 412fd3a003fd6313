# SPDX-License-Identifier: MIT
# Numbers, tests, and bytes.
expr 3 + 4; expr 7 \* 6; expr 17 / 5; expr 17 % 5; expr length hello; expr hello : 'h\(.*\)o'
expr 1 = 2; echo "expr: $?"
expr 5 \> 4; expr substr abcdef 2 3; expr index abc c
test -n x; echo $?; test -z x; echo $?; [ a = a ]; echo $?; [ a != a ]; echo $?
[ 1 -lt 2 ] && [ 2 -le 2 ] && [ 3 -gt 2 ] && [ 3 -ge 3 ] && [ 1 -ne 2 ]; echo $?
[ -e nowhere ]; echo $?; [ -d . ]; echo $?; touch f; [ -f f ]; echo $?; [ -s f ]; echo $?
[ -r f -a -w f ]; echo $?; [ -x f -o -f f ]; echo $?; [ ! -x f ]; echo $?; [ . -ef ./. ]; echo $?
seq 3; seq 2 5; seq 10 -3 1; seq -s , 1 5; seq -w 8 11
printf '%d %i %o %x %X %u\n' 42 -42 42 255 255 42
printf '%5d|%-5d|%05d|%+d\n' 42 42 42 42
printf '%s %q %c %%\n' text plain character 2>/dev/null || echo no q
printf '%.3f %e %g\n' 3.14159 31415.9 0.0001
printf '\101\x42\t|\n'
printf '%b\n' 'a\tb\n'
printf '%s-%s\n' 1 2 3
echo -n no newline; echo; echo -e 'tab\there'
echo 'scale=5; 22/7; 2^64; sqrt(2)' | bc
echo '2 3 + 4 * p' | dc
factor 1234567 97 1024
printf 'ABC\0\377\n' | od -c
printf 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' | od -A x -t x1
printf 'ABCDEFGH' | od -t d4 -A n
printf 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' | hexdump -C
printf 'ABCD' | hexdump
printf 'hello, world' | xxd
printf 'hello, world' | xxd -p
seq 1 1000 | md5sum
seq 1 1000 | sha1sum
seq 1 1000 | sha256sum
seq 1 1000 | sha512sum
seq 1 1000 | cksum 2>/dev/null || seq 1 1000 | crc32
seq 1 100 | base64 | head -n 2
seq 1 100 | base64 | base64 -d | md5sum
date -u -d @0 '+%Y-%m-%d %H:%M:%S %A'
date -u -d @1000000000 '+%c'
cal 2 2024
