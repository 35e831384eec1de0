// SPDX-License-Identifier: GPL-2.0
/*
 * A heap as a browser has one, to record: documents as trees of small nodes, made of the text of files.
 *
 * Usage: domheap FILE...
 *
 * Each file is a document: each paragraph an element, each line an element in it, each word a text node.
 * What a browser keeps is kept: nodes with links to their neighbours, attributes, text in UTF-16, interned
 * names in a hash table, a box with its place for each node, rectangles with rendered glyphs, and the source
 * itself. Some documents are closed again, which leaves holes. Goes on until it is killed.
 */
#include <ctype.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES		(1 << 16)
#define TILE_WORDS	64
#define CLOSE_EVERY	5

struct name {
	struct name *next;
	uint32_t hash, users;
	char text[];
};

struct box {
	float x, y, width, height;
	uint32_t color, flags;
	struct node *node;
};

struct node {
	const void *type;
	struct node *parent, *first, *last, *next, *previous;
	struct name *name, *attributes[2];
	struct box *box;
	uint16_t *text;
	uint32_t length, flags, *tile;
};

static struct name *names[NAMES];
static const char element_type, text_type;
static unsigned long serial;

static void *get(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		err(1, "calloc");
	return p;
}

static struct name *intern(const char *text, size_t length)
{
	uint32_t hash = 2166136261;
	struct name *n;
	size_t i;

	for (i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619;
	for (n = names[hash % NAMES]; n; n = n->next)
		if (n->hash == hash && !strncmp(n->text, text, length) && !n->text[length])
			break;
	if (!n) {
		n = get(sizeof(*n) + length + 1);
		n->hash = hash;
		memcpy(n->text, text, length);
		n->next = names[hash % NAMES];
		names[hash % NAMES] = n;
	}
	n->users++;
	return n;
}

static struct node *add(struct node *parent, const void *type, const char *name)
{
	struct node *n = get(sizeof(*n));
	char id[32];

	n->type = type;
	n->parent = parent;
	n->name = intern(name, strlen(name));
	if (type == &element_type) {
		snprintf(id, sizeof(id), "%s-%lu", name, serial++);
		n->attributes[0] = intern(id, strlen(id));
		n->attributes[1] = intern(name, strlen(name));
	}
	n->box = get(sizeof(*n->box));
	n->box->node = n;
	n->box->color = 0xff202122;
	if (parent) {
		n->box->x = parent->last ? parent->last->box->x + parent->last->box->width : parent->box->x;
		n->box->y = parent->box->y + 19.2f;
		n->previous = parent->last;
		*(parent->last ? &parent->last->next : &parent->first) = n;
		parent->last = n;
	}
	return n;
}

/* A word, and for some of them what it looks like, 8 by 8 pixels a letter. */
static void add_word(struct node *line, const char *word, size_t length)
{
	struct node *n = add(line, &text_type, "#text");
	size_t i, pixel;

	n->text = get(length * sizeof(*n->text));
	n->length = length;
	n->box->width = 7.25f * length;
	n->box->height = 16;
	for (i = 0; i < length; i++)
		n->text[i] = (unsigned char)word[i];
	if (serial++ % TILE_WORDS)
		return;
	n->tile = get(length * 64 * sizeof(*n->tile));
	for (i = 0; i < length; i++)
		for (pixel = 0; pixel < 64; pixel++)
			n->tile[pixel / 8 * length * 8 + i * 8 + pixel % 8] =
				(word[i] * 0x9e3779b97f4a7c15ULL >> pixel & 1) ?
				0xff000000 | 0x010101 * ((word[i] * pixel) & 0x7f) : 0xffffffff;
}

static void close_tree(struct node *n)
{
	struct node *child, *next;

	for (child = n->first; child; child = next) {
		next = child->next;
		close_tree(child);
	}
	free(n->box);
	free(n->text);
	free(n->tile);
	free(n);
}

static struct node *open_document(const char *path)
{
	struct node *document = add(NULL, &element_type, "body"), *paragraph = NULL;
	FILE *f = fopen(path, "r");
	char line[1024], *p, *end;

	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		struct node *element;

		if (line[strspn(line, " \t\n")] == '\0') {
			paragraph = NULL;
			continue;
		}
		if (!paragraph)
			paragraph = add(document, &element_type, "div");
		element = add(paragraph, &element_type, "span");
		for (p = line; *p; p = end) {
			while (*p && isspace((unsigned char)*p))
				p++;
			for (end = p; *end && !isspace((unsigned char)*end); end++)
				;
			if (end > p)
				add_word(element, p, end - p);
		}
		document->text = realloc(document->text, document->length + strlen(line));
		if (!document->text)
			err(1, "realloc");
		memcpy((char *)document->text + document->length, line, strlen(line));
		document->length += strlen(line);
	}
	fclose(f);
	return document;
}

int main(int argc, char **argv)
{
	struct node *document, *oldest = NULL;
	int i;

	for (i = 1; i < argc; i++) {
		document = open_document(argv[i]);
		if (i % CLOSE_EVERY)
			continue;
		if (oldest)
			close_tree(oldest);
		oldest = document;
	}
	for (;;)
		pause();
}
