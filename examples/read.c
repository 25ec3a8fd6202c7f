/* Prints a dataset's phases and walks through a loader's batches.
 *
 *   cargo build --release -p syllabus-capi
 *   cc -Icapi/include examples/read.c -o read_c -Ltarget/release -lsyllabus_c -Wl,-rpath,$PWD/target/release
 *   ./read_c out [STATE.json]
 *
 * With a second argument the run stops half-way, writes its state there, and goes on from it with a second loader.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syllabus.h"

/* Every function says by its status whether it worked, and by the last error why not. */
static void must(syllabus_status status) {
  if (status != SYLLABUS_STATUS_OK) {
    fprintf(stderr, "read: %s\n", syllabus_last_error());
    exit(1);
  }
}

static void print_phases(const syllabus_dataset *dataset) {
  syllabus_dataset_info info;
  must(syllabus_dataset_describe(dataset, &info));
  printf("%s: %" PRIu64 " windows in %zu phases, %zu sources\n", info.name, info.windows, info.phases, info.sources);
  for (size_t i = 0; i < info.phases; i++) {
    syllabus_set_info phase;
    must(syllabus_dataset_phase(dataset, i, &phase));
    printf("  %s: %" PRIu64 " windows of %" PRIu32 " tokens from window %" PRIu64 "\n", phase.name, phase.windows,
           phase.sequence_length, phase.first_window);
  }
}

/* The first window, without a copy: its tokens lie in the mapped file. */
static void print_window(const syllabus_dataset *dataset) {
  syllabus_window *window;
  must(syllabus_dataset_window(dataset, 0, &window));
  syllabus_window_info info;
  must(syllabus_window_describe(window, &info));
  printf("window %" PRIu64 " of %s: %s, %zu tokens, %zu documents, first token %" PRIu32 "\n", info.index, info.phase,
         info.source, info.tokens_count, info.fragments_count,
         info.token_bytes == 2 ? (uint32_t)((const uint16_t *)info.tokens)[0] : ((const uint32_t *)info.tokens)[0]);
  syllabus_window_free(window);
}

/* At most `most` batches; gives the number of steps that were begun. */
static uint64_t train(syllabus_loader *loader, const syllabus_schedule *schedule, uint64_t most) {
  uint64_t batches = 0;
  for (; batches < most; batches++) {
    syllabus_batch *batch;
    syllabus_status status = syllabus_loader_next(loader, &batch);
    if (status == SYLLABUS_STATUS_END) break;
    must(status);
    syllabus_batch_info info;
    must(syllabus_batch_describe(batch, &info));
    syllabus_step_info step;
    must(syllabus_schedule_at(schedule, info.step, &step));
    const int32_t *ids = info.input_ids, *labels = info.labels;
    uint64_t sum = 0, targets = 0;
    for (size_t i = 0; i < info.rows * info.width; i++) {
      sum += (uint64_t)ids[i];
      targets += labels[i] != -100;
    }
    printf("step %" PRIu64 " in %s (%.3f): %zu rows, %" PRIu64 " of %" PRIu64 " targets, ids add up to %" PRIu64
           ", %zu borders\n",
           info.step, step.phase, step.progress, info.rows, targets, info.num_targets_global, sum,
           info.cu_seqlens_count);
    /* The memory goes back to the loader. */
    syllabus_batch_free(batch);
  }
  return batches;
}

static syllabus_loader *new_loader(const syllabus_dataset *dataset, syllabus_schedule **schedule) {
  syllabus_loader_options options = syllabus_loader_options_default();
  options.batch = 4;
  options.id_bytes = 4;
  options.threads = 2;
  syllabus_loader *loader;
  must(syllabus_loader_new(dataset, &options, NULL, &loader));
  must(syllabus_loader_schedule(loader, schedule));
  return loader;
}

int main(int count, char **arguments) {
  if (count != 2 && count != 3) {
    fprintf(stderr, "usage: read DATASET [STATE]\n");
    return 2;
  }
  if (syllabus_abi() != SYLLABUS_ABI) {
    fprintf(stderr, "read: the library and syllabus.h are of different versions\n");
    return 2;
  }
  syllabus_dataset *dataset;
  must(syllabus_open(arguments[1], NULL, &dataset));
  print_phases(dataset);
  print_window(dataset);

  syllabus_schedule *schedule;
  syllabus_loader *loader = new_loader(dataset, &schedule);
  uint64_t left;
  must(syllabus_loader_remaining(loader, &left));
  uint64_t done = train(loader, schedule, count == 3 ? left / 2 : UINT64_MAX);
  if (count == 3) {
    char *state;
    must(syllabus_loader_state(loader, &state));
    FILE *file = fopen(arguments[2], "w");
    if (file == NULL || fputs(state, file) < 0 || fclose(file) != 0) {
      perror(arguments[2]);
      return 1;
    }
    syllabus_loader_free(loader);
    syllabus_schedule_free(schedule);
    loader = new_loader(dataset, &schedule);
    must(syllabus_loader_load_state(loader, state));
    syllabus_string_free(state);
    done += train(loader, schedule, UINT64_MAX);
  }
  printf("%" PRIu64 " batches\n", done);
  syllabus_loader_free(loader);
  syllabus_schedule_free(schedule);
  syllabus_dataset_free(dataset);
  return 0;
}
