#include <shout.h>
#include <stdio.h>

int main(int count, char **words)
{
	int at;

	for (at = 1; at < count; at++) {
		shout(words[at]);
		printf("%s%c", words[at], at + 1 < count ? ' ' : '\n');
	}
	return 0;
}
