/*
 * replay.c -- feeds files to a fuzz target, in a build without libFuzzer.
 *
 *     replay_request DIRECTORY...
 *
 * Every regular file in each directory is one input; the target aborts on a finding.  A directory
 * that is missing is an error: a test that read nothing has shown nothing.
 */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX (4u * 1024u * 1024u)

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    char *bytes = malloc(INPUT_BYTES_MAX);
    FUZZ_CHECK(bytes != NULL);
    size_t size = fread(bytes, 1, INPUT_BYTES_MAX, file);
    fclose(file);
    char *exact = fuzz_exact(bytes, size);
    free(bytes);
    printf("%s\n", path); /* the last line names the input that aborted */
    fflush(stdout);
    LLVMFuzzerTestOneInput((const uint8_t *) exact, size);
    free(exact);
    return 0;
}

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        perror(path);
        return -1;
    }
    int result = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char name[4096];
        struct stat facts;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (stat(name, &facts) == 0 && S_ISREG(facts.st_mode) && entry->d_name[0] != '.' &&
            replay_file(name) != 0) {
            result = -1;
        }
    }
    closedir(directory);
    return result;
}

int main(int count, char **arguments)
{
    int result = 0;
    for (int i = 1; i < count; i++) {
        if (replay_directory(arguments[i]) != 0) {
            result = 1;
        }
    }
    return result;
}
