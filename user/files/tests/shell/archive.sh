# SPDX-License-Identifier: MIT
# Archives and compression, and other long work on many bytes.
umask 022
mkdir -p t/sub; seq 1 5000 >t/numbers; echo text >t/sub/text; ln -s numbers t/link
md5sum t/numbers t/sub/text >sums
tar -cf a.tar t; tar -tf a.tar | sort
mkdir x; tar -xf a.tar -C x; find x | sort; readlink x/t/link
diff -r t x/t && echo same
gzip -k t/numbers 2>/dev/null || gzip -c t/numbers >t/numbers.gz
gunzip -c t/numbers.gz | md5sum
zcat t/numbers.gz | wc
gzip -9 <t/numbers | gzip -t && echo good
tar -czf a.tar.gz t; tar -xzf a.tar.gz -O t/sub/text
gzip -c t/numbers | head -c 1000 | gunzip >/dev/null 2>&1; echo "broken: $?"
bzip2 -k t/numbers; bunzip2 -c t/numbers.bz2 | md5sum
find t -name 'num*' -type f | cut -d . -f 1 | sort -u
rm t/numbers.gz t/numbers.bz2
find t | sort | cpio -o -H newc 2>/dev/null >a.cpio; cpio -t <a.cpio 2>/dev/null
mkdir y; (cd y; cpio -id <../a.cpio 2>/dev/null; find . | sort)
md5sum -c sums
echo bad >t/sub/text; md5sum -c sums 2>/dev/null; echo "sums: $?"
uuencode -m t/sub/text name | head -n 1
seq 1 20000 | sort | sort -n | md5sum
seq 1 3000 | sort -k 1.2 | md5sum
dd if=/dev/zero bs=4k count=512 2>/dev/null | sha256sum
seq 1 300 | xargs -n 50 echo | wc
seq 1 30 | xargs -I % echo 'item %' | tail -n 1
printf 'a b\nc\n' | xargs echo
seq 1 5 | xargs -n 1 sh -c 'exit 1'; echo "xargs: $?"
awk 'BEGIN { for (i = 0; i < 100000; i++) s += i % 7; print s }'
i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; echo $i
