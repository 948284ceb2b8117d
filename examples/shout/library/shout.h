#ifndef SHOUT_H
#define SHOUT_H

/* Make the letters of a text capitals, in place. */
void shout(char *text);

#endif
