/*
 * A main for fuzzers without libFuzzer: runs every file that is named, and
 * every file of the directories that are named, and prints how many.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX	(4 << 20)

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static unsigned	inputs;

/* In a buffer of exactly its size, so that reading past it is seen. */
static void
replay_file(const char *path)
{
	uint8_t		*buf;
	struct stat	 st;
	FILE		*f;

	if ((f = fopen(path, "r")) == NULL || fstat(fileno(f), &st) == -1)
		err(1, "%s", path);
	if (st.st_size > INPUT_MAX)
		errx(1, "%s: too large", path);
	if ((buf = malloc((size_t)st.st_size + (st.st_size == 0))) == NULL)
		err(1, "%s", path);
	if (fread(buf, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		err(1, "%s", path);
	fclose(f);
	LLVMFuzzerTestOneInput(buf, (size_t)st.st_size);
	inputs++;
	free(buf);
}

static void
replay(const char *path)
{
	char		 name[4096];
	struct stat	 st;
	struct dirent	*e;
	DIR		*d;

	if (stat(path, &st) == -1)
		err(1, "%s", path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	if ((d = opendir(path)) == NULL)
		err(1, "%s", path);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, e->d_name) >=
		    (int)sizeof(name))
			errx(1, "%s: name too long", path);
		replay(name);
	}
	closedir(d);
}

int
main(int argc, char **argv)
{
	int	i;

	if (argc < 2)
		errx(2, "usage: %s file ...", argv[0]);
	for (i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%s: %u inputs\n", argv[0], inputs);
	return inputs == 0;
}
