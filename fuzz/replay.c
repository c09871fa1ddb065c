/* replay.c - runs a fuzz target over files and folders, without libFuzzer. */
#include <ftw.h>
#include <stdint.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned long ran;

static int replay(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	unsigned char *data;
	FILE *f;
	size_t n;

	(void)ftw;
	if (type != FTW_F)
		return 0;
	f = fopen(path, "rb");
	data = malloc((size_t)st->st_size + 1);
	if (!f || !data) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, (size_t)st->st_size, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	ran++;
	return 0;
}

int main(int argc, char **argv)
{
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		nftw(argv[i], replay, 16, FTW_PHYS);
	printf("replayed %lu inputs\n", ran);
	return 0;
}
