# SPDX-License-Identifier: MIT
# The shell itself: redirection, pipes, jobs, traps.
echo one >f; echo two >>f; cat <f
cat f nowhere >out 2>err; cat out; wc -l <err
cat nowhere 2>&1 | wc -l
{ echo to-stdout; echo to-stderr >&2; } 2>&1 >/dev/null | cat
exec 3>third; echo through three >&3; exec 3>&-; cat third
exec 4<f; read -r line <&4; echo "read: $line"; exec 4<&-
cat <<END
here: $((6 * 7)) $(echo nested) ${HOME:+home}
END
cat <<'END'
quoted: $HOME $(no)
END
cat <<-END
	without tabs
END
(cd /; pwd); pwd | grep -c .
x=outer; (x=inner; echo $x); echo $x
echo "$(echo "a $(echo b) c")" `echo d`
f() { local x=$1; echo "f: $x $# $*"; return 3; }; f 1 2 3; echo "returned $?"
true && echo and || echo or
false && echo and || echo or
! false; echo $?
if test 3 -gt 2; then echo yes; elif true; then echo no; else echo never; fi
for i in 1 2 3; do [ $i = 2 ] && continue; echo "i=$i"; done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); done; echo $i
until [ $i -eq 0 ]; do i=$((i - 1)); done; echo $i
case abc in a*) echo star;; *) echo other;; esac
set -- a 'b c' d; echo $#; for w in "$@"; do echo "<$w>"; done; shift; echo "$1"
v=/usr/lib/file.tar.gz; echo "${v##*/} ${v%%.*} ${v%.gz} ${v#/usr} ${#v}"
echo ${unset:-default} ${unset-x} ${v:+set}
echo "$((1 + 2 * 3)) $((7 / 2)) $((-7 % 3)) $((1 << 10)) $((0x1f)) $((5 > 3 && 2 < 1))"
echo *.nothing 'a b' "c d" e\ f
seq 1 5 | while read -r n; do printf '%s;' "$n"; done; echo
seq 1 1000 | grep 7 | sort -rn | head -n 3
yes no | head -n 100000 | wc -l
echo a | cat | cat | cat | cat | cat | cat | cat | cat
false | true; echo "status $?"
true | false; echo "status $?"
sh -c 'exit 7'; echo "status $?"
sh -c 'kill -TERM $$'; echo "status $?"
sh -c 'kill -9 $$'; echo "status $?"
no-such-command; echo "status $?"
/etc/passwd 2>/dev/null; echo "status $?"
sleep 0.1 & wait $!; echo "waited $?"
(sleep 0.05; exit 4) & wait $!; echo "waited $?"
(sleep 0.2; echo late) & echo early; wait
for i in 1 2 3; do (exit $i) & done; wait; echo all
sleep 60 & pid=$!; kill $pid; wait $pid; echo "killed $?"
sleep 60 & pid=$!; kill -0 $pid && echo alive; kill -KILL $pid; wait $pid; echo "killed $?"
trap 'echo trapped USR1' USR1; kill -USR1 $$; trap - USR1
(trap 'echo leaving' EXIT; echo inside)
(trap '' TERM; kill -TERM $(sh -c 'echo $PPID'); echo ignored)
trap 'echo interrupted; exit 5' USR2; kill -USR2 $$; echo not here
