/* Uses and misuses of syllabus.h: `use MODE DATASET [FILE]`. Says what went wrong and ends with 1, or with 0. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "syllabus.h"

#define CHECK(holds)                                                                                             \
  do {                                                                                                           \
    if (!(holds)) {                                                                                              \
      fprintf(stderr, "%s:%d: %s does not hold; last error: %s\n", __FILE__, __LINE__, #holds, syllabus_last_error()); \
      _exit(1);                                                                                                  \
    }                                                                                                            \
  } while (0)
#define OK(call) CHECK((call) == SYLLABUS_STATUS_OK)
/* The call fails with this status, and its message has this part. */
#define FAILS(status, part, call)                        \
  do {                                                   \
    CHECK((call) == SYLLABUS_STATUS_##status);           \
    CHECK(strstr(syllabus_last_error(), part) != NULL);  \
  } while (0)

static syllabus_dataset *open_dataset(const char *path) {
  syllabus_dataset *dataset;
  OK(syllabus_open(path, NULL, &dataset));
  return dataset;
}

static syllabus_loader *open_loader(const syllabus_dataset *dataset, size_t threads) {
  syllabus_loader_options options = syllabus_loader_options_default();
  options.batch = 3;
  options.threads = threads;
  options.prefetch_bytes = 1000;
  syllabus_loader *loader;
  OK(syllabus_loader_new(dataset, &options, NULL, &loader));
  return loader;
}

/* Reads to the end; the windows must come in order from `next` on. Gives the one after the last. */
static int64_t read_on(syllabus_loader *loader, int64_t next) {
  for (;;) {
    syllabus_batch *batch;
    syllabus_status status = syllabus_loader_next(loader, &batch);
    if (status == SYLLABUS_STATUS_END) {
      CHECK(batch == NULL);
      return next;
    }
    OK(status);
    syllabus_batch_info info;
    OK(syllabus_batch_describe(batch, &info));
    for (size_t row = 0; row < info.rows; row++) CHECK(info.window_ids[row] == next++);
    syllabus_batch_free(batch);
  }
}

static void wrong(const char *path) {
  const char *bad = "\xff\xfe", *nothing = NULL;
  syllabus_dataset *dataset = (syllabus_dataset *)&bad;
  CHECK(strcmp(syllabus_last_error(), "") == 0);
  FAILS(ARGUMENT, "`path` is NULL", syllabus_open(NULL, NULL, &dataset));
  CHECK(dataset == NULL);
  FAILS(ARGUMENT, "`out` is NULL", syllabus_open(path, NULL, NULL));
  FAILS(IO, "manifest.json", syllabus_open("", NULL, &dataset));
  FAILS(IO, "manifest.json", syllabus_open(bad, NULL, &dataset));
  FAILS(IO, "manifest.json", syllabus_open("/nowhere/at/all", NULL, &dataset));
  CHECK(dataset == NULL);
  syllabus_open_options relies = syllabus_open_options_default();
  relies.tokenizer_digest = bad;
  FAILS(ARGUMENT, "`tokenizer_digest` is not UTF-8", syllabus_open(path, &relies, &dataset));
  relies.tokenizer_digest = "00";
  FAILS(CONTRACT, "tokenizer", syllabus_open(path, &relies, &dataset));
  relies = syllabus_open_options_default();
  relies.token_bytes = 3;
  FAILS(ARGUMENT, "`token_bytes` is 3", syllabus_open(path, &relies, &dataset));
  relies.token_bytes = 0;
  relies.eos_id = -3;
  FAILS(ARGUMENT, "`eos_id` is -3", syllabus_open(path, &relies, &dataset));
  relies.eos_id = INT64_MAX;
  FAILS(ARGUMENT, "`eos_id`", syllabus_open(path, &relies, &dataset));
  relies.eos_id = -1;
  FAILS(CONTRACT, "EOS", syllabus_open(path, &relies, &dataset));
  relies.eos_id = -2;
  relies.vocab_size = 1;
  FAILS(CONTRACT, "vocabulary", syllabus_open(path, &relies, &dataset));
  FAILS(ARGUMENT, "not aligned", syllabus_open(path, (void *)((char *)&relies + 1), &dataset));

  dataset = open_dataset(path);
  syllabus_dataset_info info;
  FAILS(ARGUMENT, "`dataset` is NULL", syllabus_dataset_describe(NULL, &info));
  FAILS(ARGUMENT, "`out` is NULL", syllabus_dataset_describe(dataset, NULL));
  OK(syllabus_dataset_describe(dataset, &info));
  CHECK(info.bos_id == -1 && info.eos_id == 2 && strlen(info.digest) == 64);
  syllabus_set_info set;
  FAILS(RANGE, "no phase 9", syllabus_dataset_phase(dataset, 9, &set));
  FAILS(RANGE, "no phase", syllabus_dataset_phase(dataset, SIZE_MAX, &set));
  FAILS(ARGUMENT, "NULL", syllabus_dataset_phase(NULL, 0, &set));
  FAILS(ARGUMENT, "NULL", syllabus_dataset_phase(dataset, 0, NULL));
  FAILS(RANGE, "held-out", syllabus_dataset_validation(dataset, 1, &set));
  OK(syllabus_dataset_validation(dataset, 0, &set));
  CHECK(strcmp(set.name, "validation/web") == 0);
  FAILS(RANGE, "source", syllabus_dataset_source(dataset, info.sources, &nothing));
  FAILS(ARGUMENT, "`name` is NULL", syllabus_dataset_source(dataset, 0, NULL));
  OK(syllabus_dataset_source(dataset, 0, &nothing));
  CHECK(strcmp(nothing, "web") == 0);
  OK(syllabus_dataset_verify(dataset));
  FAILS(ARGUMENT, "NULL", syllabus_dataset_verify(NULL));

  syllabus_window *window;
  FAILS(RANGE, "no window", syllabus_dataset_window(dataset, info.windows, &window));
  CHECK(window == NULL);
  FAILS(RANGE, "no window", syllabus_dataset_window(dataset, UINT64_MAX, &window));
  FAILS(ARGUMENT, "`dataset`", syllabus_dataset_window(NULL, 0, &window));
  FAILS(ARGUMENT, "`out`", syllabus_dataset_window(dataset, 0, NULL));
  FAILS(RANGE, "held-out", syllabus_dataset_validation_window(dataset, 7, 0, &window));
  FAILS(RANGE, "no window", syllabus_dataset_validation_window(dataset, 0, 7000, &window));
  syllabus_window_info view;
  FAILS(ARGUMENT, "`window`", syllabus_window_describe(NULL, &view));

  syllabus_loader *loader;
  syllabus_loader_options good = syllabus_loader_options_default(), options;
  FAILS(ARGUMENT, "`options` is NULL", syllabus_loader_new(dataset, NULL, NULL, &loader));
  CHECK(loader == NULL);
#define REFUSED(status, part, field, value)                                               \
  options = good;                                                                         \
  options.field = value;                                                                  \
  FAILS(status, part, syllabus_loader_new(dataset, &options, NULL, &loader));             \
  CHECK(loader == NULL)
  REFUSED(RANGE, "no windows", batch, 0);
  REFUSED(RANGE, "rank 1 of 1", rank, 1);
  REFUSED(RANGE, "rank 0 of 0", world, 0);
  REFUSED(RANGE, "start", start, 1000000);
  REFUSED(RANGE, "threads", threads, SIZE_MAX);
  REFUSED(RANGE, "context-parallel", context_ranks, (options.context_rank = 5, 2));
  REFUSED(RANGE, "cut", context_ranks, 1000);
  REFUSED(ARGUMENT, "`id_bytes` is 2", id_bytes, 2);
  REFUSED(ARGUMENT, "`cu_seqlens` is 77", cu_seqlens, 77);
  REFUSED(ARGUMENT, "`phase_end`", phase_end, 2);
  REFUSED(ARGUMENT, "`context_cut`", context_cut, UINT32_MAX);
  REFUSED(ARGUMENT, "`sizes_by`", sizes_by, 2);
  REFUSED(ARGUMENT, "`phase` is not UTF-8", phase, bad);
  REFUSED(RANGE, "no phase `x`", phase, "x");
  REFUSED(RANGE, "no held-out set", validation, "x");
  REFUSED(ARGUMENT, "choose one", validation, (options.phase = "a", "validation/web"));
  REFUSED(ARGUMENT, "`sizes` is NULL", sizes_count, 4);
  REFUSED(ARGUMENT, "`skip` is NULL", skip_count, 4);
  syllabus_batch_size sizes[2] = {{1, 2}, {3, 4}};
  REFUSED(ARGUMENT, "do not fit memory", sizes_count, (options.sizes = sizes, SIZE_MAX));
  REFUSED(RANGE, "start at 0", sizes_count, (options.sizes = sizes, 2));
  syllabus_span back = {5, 2};
  REFUSED(RANGE, "cannot skip", skip_count, (options.skip = &back, 1));
  options = (syllabus_loader_options){0};
  CHECK(syllabus_loader_new(dataset, &options, NULL, &loader) != SYLLABUS_STATUS_OK);
  syllabus_memory memory = {0};
  FAILS(ARGUMENT, "allocate", syllabus_loader_new(dataset, &good, &memory, &loader));

  loader = open_loader(dataset, 1);
  syllabus_batch *batch;
  FAILS(ARGUMENT, "`out`", syllabus_loader_next(loader, NULL));
  FAILS(ARGUMENT, "`loader`", syllabus_loader_next(NULL, &batch));
  CHECK(batch == NULL);
  syllabus_batch_info held;
  FAILS(ARGUMENT, "`batch`", syllabus_batch_describe(NULL, &held));
  FAILS(ARGUMENT, "`json` is NULL", syllabus_loader_load_state(loader, NULL));
  FAILS(ARGUMENT, "not UTF-8", syllabus_loader_load_state(loader, bad));
  FAILS(ARGUMENT, "no state", syllabus_loader_load_state(loader, "{}"));
  FAILS(CONTRACT, "version 9",
        syllabus_loader_load_state(loader, "{\"version\":9,\"reads\":null,\"digests\":[],\"next_window\":0,\"skip\":[]}"));
  FAILS(CONTRACT, "not the dataset",
        syllabus_loader_load_state(loader, "{\"version\":1,\"reads\":null,\"digests\":[],\"next_window\":0,\"skip\":[]}"));
  FAILS(ARGUMENT, "`json`", syllabus_loader_state(loader, NULL));
  uint64_t number;
  FAILS(ARGUMENT, "NULL", syllabus_loader_remaining(loader, NULL));
  syllabus_schedule *schedule;
  OK(syllabus_loader_schedule(loader, &schedule));
  syllabus_step_info step;
  FAILS(RANGE, "no step", syllabus_schedule_at(schedule, 1000000, &step));
  FAILS(ARGUMENT, "`schedule`", syllabus_schedule_at(NULL, 0, &step));
  FAILS(RANGE, "no step trains", syllabus_schedule_step_of(schedule, info.windows, &number));
  OK(syllabus_schedule_steps(schedule, NULL, NULL));
  FAILS(ARGUMENT, "NULL", syllabus_schedule_steps(NULL, NULL, NULL));
  syllabus_schedule_free(schedule);
  /* After all of these it still works. */
  CHECK(read_on(loader, 0) == (int64_t)info.windows);
  CHECK(syllabus_loader_next(loader, &batch) == SYLLABUS_STATUS_END);
  syllabus_loader_free(loader);
  syllabus_dataset_free(dataset);
  syllabus_dataset_free(NULL);
  syllabus_window_free(NULL);
  syllabus_loader_free(NULL);
  syllabus_batch_free(NULL);
  syllabus_schedule_free(NULL);
  syllabus_string_free(NULL);
}

/* Handles outlive those that they were made from. */
static void outlive(const char *path) {
  syllabus_dataset *dataset = open_dataset(path);
  syllabus_window *window;
  OK(syllabus_dataset_window(dataset, 0, &window));
  syllabus_window_info view;
  OK(syllabus_window_describe(window, &view));
  uint32_t sum = 0, again = 0;
  for (size_t i = 0; i < view.tokens_count; i++) sum += ((const uint16_t *)view.tokens)[i];
  syllabus_loader *loader = open_loader(dataset, 2);
  syllabus_dataset_free(dataset);
  syllabus_schedule *schedule;
  OK(syllabus_loader_schedule(loader, &schedule));
  syllabus_batch *first, *second;
  OK(syllabus_loader_next(loader, &first));
  OK(syllabus_loader_next(loader, &second));
  syllabus_loader_free(loader);
  syllabus_batch_info info;
  OK(syllabus_batch_describe(second, &info));
  CHECK(info.window_ids[0] == 3);
  syllabus_batch_free(first);
  for (size_t i = 0; i < view.tokens_count; i++) again += ((const uint16_t *)view.tokens)[i];
  CHECK(sum == again && strcmp(view.phase, "a") == 0 && view.fragments[0].start == 0);
  syllabus_window_free(window);
  int64_t ids = 0;
  for (size_t i = 0; i < info.rows * info.width; i++) ids += ((const int64_t *)info.input_ids)[i];
  CHECK(ids > 0);
  syllabus_batch_free(second);
  syllabus_step_info step;
  OK(syllabus_schedule_at(schedule, 0, &step));
  CHECK(strcmp(step.phase, "a") == 0);
  syllabus_schedule_free(schedule);
}

static int blocks, refused;
static void *aligned(void *context, size_t bytes) {
  void *block;
  CHECK(context == &blocks);
  if (posix_memalign(&block, 64, bytes) != 0) return NULL;
  blocks++;
  return block;
}
static void given_back(void *context, void *block, size_t bytes) {
  CHECK(context == &blocks && bytes > 0);
  blocks--;
  free(block);
}
static void *none(void *context, size_t bytes) {
  (void)context, (void)bytes, refused++;
  return NULL;
}
static void *crooked(void *context, size_t bytes) { return (char *)aligned(context, bytes + 8) + 8; }
static void straighten(void *context, void *block, size_t bytes) { given_back(context, (char *)block - 8, bytes); }

static void memory(const char *path) {
  syllabus_dataset *dataset = open_dataset(path);
  syllabus_loader_options options = syllabus_loader_options_default();
  syllabus_loader *loader;
  syllabus_batch *batch;
  syllabus_memory own = {&blocks, aligned, given_back, 1};
  OK(syllabus_loader_new(dataset, &options, &own, &loader));
  syllabus_dataset_info info;
  OK(syllabus_dataset_describe(dataset, &info));
  CHECK(read_on(loader, 0) == (int64_t)info.windows);
  CHECK(blocks > 0);
  syllabus_loader_free(loader);
  CHECK(blocks == 0);
  own.allocate = none;
  OK(syllabus_loader_new(dataset, &options, &own, &loader));
  FAILS(IO, "allocate", syllabus_loader_next(loader, &batch));
  CHECK(batch == NULL && refused > 0);
  syllabus_loader_free(loader);
  own.allocate = crooked, own.release = straighten;
  OK(syllabus_loader_new(dataset, &options, &own, &loader));
  FAILS(RANGE, "multiple of 64", syllabus_loader_next(loader, &batch));
  syllabus_loader_free(loader);
  CHECK(blocks == 0);
  syllabus_dataset_free(dataset);
}

static syllabus_loader *contended;
static atomic_int busy, served;
static void *contend(void *unused) {
  for (;;) {
    syllabus_batch *batch;
    syllabus_status status = syllabus_loader_next(contended, &batch);
    if (status == SYLLABUS_STATUS_END) return unused;
    if (status == SYLLABUS_STATUS_BUSY) {
      busy++;
    } else {
      OK(status);
      served++;
      syllabus_batch_free(batch);
    }
  }
}

static void threads(const char *path) {
  syllabus_dataset *dataset = open_dataset(path);
  for (int round = 0; round < 50; round++) {
    contended = open_loader(dataset, 1);
    uint64_t left;
    OK(syllabus_loader_remaining(contended, &left));
    served = 0;
    pthread_t all[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&all[i], NULL, contend, NULL) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(all[i], NULL) == 0);
    /* Each batch came to one of them. */
    CHECK((uint64_t)served == left);
    syllabus_loader_free(contended);
  }
  syllabus_dataset_free(dataset);
}

static atomic_int over;
static const syllabus_dataset *common;
static void *keep_reading(void *unused) {
  while (!over) {
    syllabus_loader *loader = open_loader(common, 2);
    read_on(loader, 0);
    syllabus_loader_free(loader);
    for (uint64_t i = 0; i < 5; i++) {
      syllabus_window *window;
      OK(syllabus_dataset_window(common, i, &window));
      syllabus_window_free(window);
    }
  }
  return unused;
}

/* Children go on with the parent's loader, and with one of their own, while other threads of the parent read. */
static void forks(const char *path) {
  syllabus_dataset *dataset = open_dataset(path);
  common = dataset;
  syllabus_dataset_info info;
  OK(syllabus_dataset_describe(dataset, &info));
  pthread_t other;
  CHECK(pthread_create(&other, NULL, keep_reading, NULL) == 0);
  alarm(100);
  for (int round = 0; round < 30; round++) {
    syllabus_loader *loader = open_loader(dataset, (size_t)(round % 3));
    syllabus_batch *held;
    OK(syllabus_loader_next(loader, &held));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      /* A lock that nobody opens any more would end here. */
      alarm(20);
      CHECK(read_on(loader, 3) == (int64_t)info.windows);
      syllabus_batch_free(held);
      syllabus_loader *own = open_loader(dataset, 2);
      CHECK(read_on(own, 0) == (int64_t)info.windows);
      syllabus_loader_free(own);
      syllabus_loader_free(loader);
      syllabus_dataset_free(dataset);
      _exit(0);
    }
    CHECK(read_on(loader, 3) == (int64_t)info.windows);
    syllabus_batch_free(held);
    syllabus_loader_free(loader);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  over = 1;
  CHECK(pthread_join(other, NULL) == 0);
  syllabus_dataset_free(dataset);
}

/* A shard that is cut while the dataset is open: errors that name it, and no signal. */
static void cut(const char *path, const char *file) {
  syllabus_dataset *dataset = open_dataset(path);
  syllabus_window *window;
  OK(syllabus_dataset_window(dataset, 0, &window));
  syllabus_loader *loader = open_loader(dataset, 0);
  syllabus_batch *batch;
  OK(syllabus_loader_next(loader, &batch));
  syllabus_batch_free(batch);
  CHECK(truncate(file, 30) == 0);
  FAILS(CORRUPT, file, syllabus_loader_next(loader, &batch));
  CHECK(batch == NULL);
  FAILS(CORRUPT, file, syllabus_loader_next(loader, &batch));
  syllabus_window *other;
  FAILS(CORRUPT, file, syllabus_dataset_window(dataset, 5, &other));
  FAILS(CORRUPT, file, syllabus_dataset_verify(dataset));
  syllabus_window_free(window);
  syllabus_loader_free(loader);
  syllabus_dataset_free(dataset);
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  const char *mode = arguments[1], *path = arguments[2];
  if (strcmp(mode, "wrong") == 0) wrong(path);
  else if (strcmp(mode, "outlive") == 0) outlive(path);
  else if (strcmp(mode, "memory") == 0) memory(path);
  else if (strcmp(mode, "threads") == 0) threads(path);
  else if (strcmp(mode, "forks") == 0) forks(path);
  else if (strcmp(mode, "cut") == 0 && count == 4) cut(path, arguments[3]);
  else return 2;
  return 0;
}
