# SPDX-License-Identifier: MIT
# Filters of text.
printf 'pear 3\napple 12\nfig 7\napple 5\nbanana 1\n' >fruit
cat fruit fruit | wc
cat -n fruit
cat -A fruit | head -n 1
head -n 2 fruit
tail -n 2 fruit
tail -n +4 fruit
head -c 7 fruit; echo
tail -c 4 fruit
sort fruit
sort -r fruit
sort -k 2 -n fruit
sort -u -k 1,1 fruit
sort fruit | cut -d ' ' -f 1 | uniq
sort fruit | cut -d ' ' -f 1 | uniq -c
sort fruit | cut -d ' ' -f 1 | uniq -d
cut -c 2-4 fruit
grep apple fruit
grep -n p fruit
grep -c a fruit
grep -v a fruit
grep -i PEAR fruit
grep -E '^(fig|pear) [0-9]$' fruit
grep -o '[0-9]*$' fruit
grep -q nothing fruit; echo "grep: $?"
grep -l fig fruit
sed 's/a/A/' fruit
sed 's/a/A/g;s/\([a-z]*\) \([0-9]*\)/\2 \1/' fruit
sed -n '2,3p' fruit
sed '/apple/d' fruit
sed '$!d' fruit
sed -e '1i\
first' -e '$a\
last' fruit
sed -i 's/pear/PEAR/' fruit && cat fruit
awk '{ sum += $2 } END { print NR, sum, sum / NR }' fruit
awk '$2 > 4 { printf "%-8s|%3d\n", $1, $2 }' fruit
awk '{ n[$1]++ } END { for (k in n) print k, n[k] }' fruit | sort
awk -F e 'NF > 1 { print NF, toupper($1) }' fruit
awk 'BEGIN { x = "abcdef"; print substr(x, 2, 3), index(x, "d"), length(x); print 7 % 3 }'
tr a-z A-Z <fruit
tr -d '0-9 ' <fruit
tr -s p <fruit
echo 'a:b:c' | tr : '\n'
rev fruit
tac fruit
nl fruit
fold -w 3 fruit | head -n 4
paste fruit fruit | head -n 2
expand -t 4 <<END
a	b
END
diff fruit /dev/null | head -n 2
printf 'one\ntwo\n' >x; printf 'one\n2\n' >y
diff x y; echo "diff: $?"
cmp x y; echo "cmp: $?"
cmp x x; echo "cmp: $?"
printf 'one\ttwo\n' | tee copy | wc -c
cat copy
shuf -n 0 fruit
yes | head -n 3
strings -n 4 fruit
