/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "otlp-metrics.pb-c.h"
#include "snapshot/snapshot.h"

/* ---- who sends */

static struct otlp_attribute *find_attribute(const struct otlp_options *options, const char *key)
{
	for (size_t i = 0; i < options->resource_cnt; i++)
		if (!strcmp(options->resource[i].key, key))
			return &options->resource[i];
	return NULL;
}

/* set_attribute - add it, or give it a new value when there is one of this key; the array has room */
static void set_attribute(struct otlp_options *options, struct otlp_attribute attribute)
{
	struct otlp_attribute *known = find_attribute(options, attribute.key);

	if (known)
		*known = attribute;
	else
		options->resource[options->resource_cnt++] = attribute;
}

void otlp_options_init(struct otlp_options *out, const struct config *config, const char *version, struct arena *mem)
{
	char host[256] = "";
	struct otlp_attribute defaults[] = {
	    {.key = "service.version", .text = arena_strdup(mem, version)},
	    {.key = "service.instance.id"},
	    {.key = "host.name"},
	    {.key = "process.pid", .number = getpid()},
	};
	const size_t default_cnt = sizeof(defaults) / sizeof(defaults[0]);

	if (gethostname(host, sizeof(host) - 1) || !*host)
		strcpy(host, "localhost");
	defaults[1].text = defaults[2].text = arena_strdup(mem, host);

	*out = (struct otlp_options){
	    .prefix = arena_strdup(mem, config->prefix),
	    .version = defaults[0].text,
	    .resource = arena_array(mem, config->resource_cnt + default_cnt + 1, sizeof(*out->resource)),
	};
	for (size_t i = 0; i < config->resource_cnt; i++)
		set_attribute(out, (struct otlp_attribute){
				       .key = arena_strdup(mem, config->resource[i].key),
				       .text = arena_strdup(mem, config->resource[i].value),
				   });
	for (size_t i = 0; i < default_cnt; i++)
		if (!find_attribute(out, defaults[i].key))
			set_attribute(out, defaults[i]);
	set_attribute(out, (struct otlp_attribute){
			       .key = "service.name",
			       .text = arena_strdup(mem, config->service_name),
			   });
}

/* ---- the request. The tree of messages lives in an arena and borrows the snapshot's texts. */

static Otlp__KeyValue *make_attribute(struct arena *mem, const struct otlp_attribute *attribute)
{
	Otlp__KeyValue *pair = arena_alloc(mem, sizeof(*pair));

	otlp__key_value__init(pair);
	pair->key = (char *)attribute->key; /* protobuf-c has no const; packing only reads */
	pair->value = arena_alloc(mem, sizeof(*pair->value));
	otlp__any_value__init(pair->value);
	if (attribute->text) {
		pair->value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
		pair->value->string_value = (char *)attribute->text;
	} else {
		pair->value->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
		pair->value->int_value = attribute->number;
	}
	return pair;
}

static Otlp__KeyValue **make_labels(struct arena *mem, const struct sample *sample)
{
	Otlp__KeyValue **labels = arena_array(mem, sample->label_cnt, sizeof(Otlp__KeyValue *));

	for (size_t i = 0; i < sample->label_cnt; i++) {
		const struct otlp_attribute label = {sample->labels[i].name, sample->labels[i].value, 0};

		labels[i] = make_attribute(mem, &label);
	}
	return labels;
}

static Otlp__NumberDataPoint *make_point(struct arena *mem, const struct snapshot *snap, const struct family *family,
					 const struct sample *sample)
{
	Otlp__NumberDataPoint *point = arena_alloc(mem, sizeof(*point));

	otlp__number_data_point__init(point);
	point->time_unix_nano = snap->now_ns;
	if (family->kind == METRIC_COUNTER) {
		point->start_time_unix_nano = snap->start_ns;
		point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
		point->as_int = sample->counter > INT64_MAX ? INT64_MAX : (int64_t)sample->counter;
	} else {
		point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		point->as_double = sample->gauge;
	}
	point->attributes = make_labels(mem, sample);
	point->n_attributes = sample->label_cnt;
	return point;
}

static Otlp__HistogramDataPoint *make_histogram_point(struct arena *mem, const struct snapshot *snap,
						      const struct family *family, const struct sample *sample)
{
	Otlp__HistogramDataPoint *point = arena_alloc(mem, sizeof(*point));

	otlp__histogram_data_point__init(point);
	point->start_time_unix_nano = snap->start_ns;
	point->time_unix_nano = snap->now_ns;
	point->count = sample_count(family, sample);
	point->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	point->sum = sample->histogram.sum;
	point->bucket_counts = sample->histogram.buckets;
	point->n_bucket_counts = family->bound_cnt + 1;
	point->explicit_bounds = (double *)family->bounds;
	point->n_explicit_bounds = family->bound_cnt;
	point->attributes = make_labels(mem, sample);
	point->n_attributes = sample->label_cnt;
	return point;
}

static Otlp__NumberDataPoint **make_points(struct arena *mem, const struct snapshot *snap, const struct family *family)
{
	Otlp__NumberDataPoint **points = arena_array(mem, family->sample_cnt, sizeof(Otlp__NumberDataPoint *));

	for (size_t i = 0; i < family->sample_cnt; i++)
		points[i] = make_point(mem, snap, family, &family->samples[i]);
	return points;
}

static Otlp__Sum *make_sum(struct arena *mem, const struct snapshot *snap, const struct family *family)
{
	Otlp__Sum *sum = arena_alloc(mem, sizeof(*sum));

	otlp__sum__init(sum);
	sum->aggregation_temporality = OTLP__AGGREGATION_TEMPORALITY__CUMULATIVE;
	sum->is_monotonic = true;
	sum->data_points = make_points(mem, snap, family);
	sum->n_data_points = family->sample_cnt;
	return sum;
}

static Otlp__Gauge *make_gauge(struct arena *mem, const struct snapshot *snap, const struct family *family)
{
	Otlp__Gauge *gauge = arena_alloc(mem, sizeof(*gauge));

	otlp__gauge__init(gauge);
	gauge->data_points = make_points(mem, snap, family);
	gauge->n_data_points = family->sample_cnt;
	return gauge;
}

static Otlp__Histogram *make_histogram(struct arena *mem, const struct snapshot *snap, const struct family *family)
{
	Otlp__Histogram *histogram = arena_alloc(mem, sizeof(*histogram));

	otlp__histogram__init(histogram);
	histogram->aggregation_temporality = OTLP__AGGREGATION_TEMPORALITY__CUMULATIVE;
	histogram->data_points = arena_array(mem, family->sample_cnt, sizeof(Otlp__HistogramDataPoint *));
	histogram->n_data_points = family->sample_cnt;
	for (size_t i = 0; i < family->sample_cnt; i++)
		histogram->data_points[i] = make_histogram_point(mem, snap, family, &family->samples[i]);
	return histogram;
}

static Otlp__Metric *make_metric(struct arena *mem, const struct snapshot *snap, const struct family *family,
				 const char *prefix)
{
	Otlp__Metric *metric = arena_alloc(mem, sizeof(*metric));

	otlp__metric__init(metric);
	metric->name = (char *)family->name;
	if (family->scope == SCOPE_EVENT && *prefix)
		metric->name = arena_printf(mem, "%s.%s", prefix, family->name);
	metric->description = (char *)family->help;
	metric->unit = (char *)family->unit;
	switch (family->kind) {
	case METRIC_COUNTER:
		metric->data_case = OTLP__METRIC__DATA_SUM;
		metric->sum = make_sum(mem, snap, family);
		break;
	case METRIC_GAUGE:
		metric->data_case = OTLP__METRIC__DATA_GAUGE;
		metric->gauge = make_gauge(mem, snap, family);
		break;
	case METRIC_HISTOGRAM:
		metric->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		metric->histogram = make_histogram(mem, snap, family);
		break;
	}
	return metric;
}

static Otlp__Resource *make_resource(struct arena *mem, const struct otlp_options *options)
{
	Otlp__Resource *resource = arena_alloc(mem, sizeof(*resource));

	otlp__resource__init(resource);
	resource->attributes = arena_array(mem, options->resource_cnt, sizeof(Otlp__KeyValue *));
	resource->n_attributes = options->resource_cnt;
	for (size_t i = 0; i < options->resource_cnt; i++)
		resource->attributes[i] = make_attribute(mem, &options->resource[i]);
	return resource;
}

struct buf_sink {
	ProtobufCBuffer base; /* first: protobuf-c hands back a pointer to it */
	struct buf *out;
};

static void append_to_buf(ProtobufCBuffer *base, size_t len, const uint8_t *data)
{
	buf_add(((struct buf_sink *)base)->out, data, len);
}

size_t otlp_write(struct buf *out, const struct snapshot *snap, const struct otlp_options *options)
{
	Otlp__ExportMetricsServiceRequest request = OTLP__EXPORT_METRICS_SERVICE_REQUEST__INIT;
	Otlp__ResourceMetrics resource_metrics = OTLP__RESOURCE_METRICS__INIT, *resources[] = {&resource_metrics};
	Otlp__ScopeMetrics scope_metrics = OTLP__SCOPE_METRICS__INIT, *scopes[] = {&scope_metrics};
	Otlp__InstrumentationScope scope = OTLP__INSTRUMENTATION_SCOPE__INIT;
	struct buf_sink sink = {.base = {.append = append_to_buf}, .out = out};
	struct arena *mem = arena_new();
	size_t points = 0;

	scope.name = (char *)"mailgauge";
	scope.version = (char *)options->version;
	scope_metrics.scope = &scope;
	scope_metrics.metrics = arena_array(mem, snap->family_cnt, sizeof(Otlp__Metric *));
	for (size_t i = 0; i < snap->family_cnt; i++) {
		const struct family *family = &snap->families[i];

		if (!family->sample_cnt)
			continue;
		scope_metrics.metrics[scope_metrics.n_metrics++] = make_metric(mem, snap, family, options->prefix);
		points += family->sample_cnt;
	}
	resource_metrics.resource = make_resource(mem, options);
	resource_metrics.scope_metrics = scopes;
	resource_metrics.n_scope_metrics = 1;
	request.resource_metrics = resources;
	request.n_resource_metrics = 1;
	otlp__export_metrics_service_request__pack_to_buffer(&request, &sink.base);
	arena_free(&mem);
	return points;
}

/* ---- the reply */

static void put_message(struct otlp_reply *out, const char *text)
{
	struct buf visible;

	buf_init(&visible, sizeof(out->message) - 1);
	buf_visible(&visible, text, OTLP_MESSAGE_MAX);
	strcpy(out->message, buf_text(&visible));
	buf_free(&visible);
}

int otlp_read_response(struct otlp_reply *out, const void *data, size_t len)
{
	Otlp__ExportMetricsServiceResponse *response;
	const Otlp__ExportMetricsPartialSuccess *partial;
	int err = 0;

	*out = (struct otlp_reply){0};
	response = otlp__export_metrics_service_response__unpack(NULL, len, data);
	if (!response)
		return -EBADMSG;
	partial = response->partial_success; /* some send it empty, which is a full success */
	if (partial && partial->rejected_data_points < 0)
		err = -EBADMSG;
	if (partial && !err) {
		out->rejected = partial->rejected_data_points;
		put_message(out, partial->error_message);
	}
	otlp__export_metrics_service_response__free_unpacked(response, NULL);
	return err;
}

int otlp_read_status(struct otlp_reply *out, const void *data, size_t len)
{
	Otlp__Status *status;

	*out = (struct otlp_reply){0};
	status = otlp__status__unpack(NULL, len, data);
	if (!status)
		return -EBADMSG;
	put_message(out, status->message);
	otlp__status__free_unpacked(status, NULL);
	return 0;
}
