#include "shout.h"

#include <string.h>

int main(void)
{
	char text[] = "Hello, 3 worlds";

	shout(text);
	return strcmp(text, "HELLO, 3 WORLDS") != 0;
}
