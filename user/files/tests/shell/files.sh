# SPDX-License-Identifier: MIT
# Files and directories.
umask 022
mkdir a a/b a/b/c
mkdir -p d/e/f
mkdir a; echo "mkdir: $?"
echo hello >a/one
echo world >a/b/two
touch empty a/b/c/three
ls
ls a
ls -R a d
ls -a empty a
ls -1 nowhere; echo "ls: $?"
cp a/one copy; cat copy
cp -r a tree; find tree | sort
cp nowhere there; echo "cp: $?"
mv copy moved; ls copy moved
mv moved d/e; ls d/e
ln a/one hard; stat -c '%h' hard
ln -s a/one soft; readlink soft; cat soft
ln -s nowhere dangling; cat dangling; echo "cat: $?"
ls -F soft a/one d
readlink -f soft | grep -o 'a/one$'
realpath soft | grep -o 'a/one$'
stat -c '%n %s %F' a/one empty soft; stat -c '%F' a
stat -c '%a %A' a/one a
chmod 640 a/one; stat -c '%a %A' a/one
chmod u+x,g-r,o=r a/one; stat -c '%a' a/one
chmod -R 700 d; stat -c '%a %n' d d/e d/e/f
touch -d '2001-02-03 04:05:06' dated; date -u -r dated '+%Y-%m-%d %H:%M:%S'
touch -r dated other; stat -c '%Y' other dated | uniq | wc -l
find . -type f | sort
find . -type d -name '?' | sort
find a -name 'tw*' -exec cat {} \;
find . -type l | sort
find a -type f -size -2 | sort
find . -empty -type f | sort
find a -maxdepth 1 | sort
find a -name two -print0 | xargs -0 wc -c
find . -newer dated -name one | sort
du -s empty | cut -f 1
dd if=/dev/zero of=big bs=1k count=100 2>/dev/null; wc -c big; stat -c '%s' big
dd if=big of=part bs=512 skip=3 count=4 2>/dev/null; wc -c part
echo 0123456789 | dd bs=1 skip=2 count=3 2>/dev/null; echo
echo XY | dd of=part bs=1 seek=10 count=2 conv=notrunc 2>/dev/null; od -c part | head -n 2
truncate -s 5 a/b/two; cat a/b/two; echo
rm a/one; ls a
rm nowhere; echo "rm: $?"
rm -f nowhere; echo "rm -f: $?"
rm a; echo "rm: $?"
rmdir a; echo "rmdir: $?"
rmdir d/e/f && ls d/e
rm -r a d tree; ls
basename /x/y/z.c .c; dirname /x/y/z.c
rmdir $(mktemp -d ./t.XXXXXX)
cd ..; cd - >/dev/null; pwd | grep -c .
for name in *; do [ -f "$name" ] && echo "$name"; done
echo b* e*
echo [!a-d]*
