;;; Lines of POSIX shell, and values that only a builder's shell will know.
;;;
;;; Strings may hold expansions of the shell (a variable's value, where a program is), each between two
;;; marks.  They can be joined, passed and written, but not be looked into.  Other such values are <words>,
;;; what a command prints, a word a line, and <condition>, what a command's status tells.

(define-module (fruix shell)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-11)
  #:export (expansion
            %group
            pieces
            marked?
            quoted
            words
            words?
            condition
            maybe
            recorded
            in-case
            write-line
            fresh-name
            assigned
            first-of
            for-each-word
            emit
            truth
            choose
            attempt
            decided
            steady))

;; Characters for private use: an expansion stands between the first two; the third and a digit are
;; what a group of a regular expression has matched.
(define %open #\xE000)
(define %close #\xE001)
(define %group #\xE002)

(define (expansion text)
  "A string that the builder's shell replaces by what TEXT, such as $out, expands to."
  (string-append (string %open) text (string %close)))

(define* (maybe variable #:optional (otherwise (string-append "?" variable " is not set")))
  "A string that is the value of VARIABLE, or #f where that isn't set.  OTHERWISE is what the shell does
with it then, where a string is needed."
  (expansion (string-append "${" variable otherwise "}")))

(define (pieces value)
  "VALUE, a string, as a list of strings and of lists of one string, expansions."
  (match (string-index value %open)
    (#f (list value))
    (start
     (let ((end (string-index value %close start)))
       (cons* (substring value 0 start)
              (list (substring value (+ start 1) end))
              (pieces (substring value (+ end 1))))))))

(define (marked? value)
  "Whether VALUE is a string with something in it that only the builder knows."
  (and (string? value) (string-any (lambda (char) (memv char (list %open %group))) value)))

(define (escaped text)
  (string-concatenate
   (map (lambda (char)
          (cond ((eqv? char %group) (error "it does more than write what a pattern has matched"))
                ((string-index "\"\\`$" char) (string #\\ char))
                (else (string char))))
        (string->list text))))

(define* (quoted value #:optional (expanded identity))
  "VALUE, a string, as one word of the shell in double quotes.  EXPANDED makes of an expansion what is
written for it."
  (string-append "\""
                 (string-concatenate
                  (map (match-lambda ((text) (expanded text)) (text (escaped text))) (pieces value)))
                 "\""))

(define-record-type <words>             ;TEXT: a command that prints them
  (words text)
  words?
  (text words-text))

(define-record-type <condition>         ;TEXT: a command that changes nothing
  (condition text)
  condition?
  (text condition-text))

;; What a form comes to that has different values in different cases.
(define-record-type <unknown>
  (unknown)
  unknown?)

;;; Lines.

(define %lines (make-parameter #f))     ;a box with what was written down, last first
(define %counter (make-parameter #f))   ;a prefix, and how many names with it were given
(define %depth (make-parameter 0))      ;of cases that only the builder tells apart

(define (captured thunk)
  "The lines that THUNK writes down, and what it returns."
  (parameterize ((%lines (list '())))
    (let ((value (thunk)))
      (values (reverse (car (%lines))) value))))

(define (recorded prefix thunk)
  "The lines that THUNK writes down as one string, and what it returns.  Variables begin with PREFIX."
  (let-values (((lines value) (parameterize ((%counter (cons prefix 0))) (captured thunk))))
    (values (string-join (without-unused lines) "\n") value)))

(define (without-unused lines)
  "LINES but for those that keep how a case went where nobody asks."
  (define text (string-join lines "\n"))
  (remove (lambda (line)
            (match (string-match "^(fruix_[0-9]+)=1?$" line)
              (#f #f)
              (found (not (string-match (string-append "\\$" (match:substring found 1) "[^0-9]") text)))))
          lines))

(define (write-line . parts)
  (set-car! (%lines) (cons (string-concatenate parts) (car (%lines))))
  #t)

(define (fresh-name)
  "The name of a variable that this builder's phase hasn't used yet."
  (match (%counter)
    ((prefix . count)
     (set-cdr! (%counter) (+ 1 count))
     (string-append prefix "_" (number->string (+ 1 count))))))

(define (assigned command)
  "What COMMAND, which has to succeed, prints; it is run where the builder has got to."
  (let ((name (fresh-name)))
    (write-line name "=$(" command ")")
    (expansion (string-append "$" name))))

(define (first-of some)
  "The first of SOME, words; that there is none fails."
  (assigned (string-append "first_of " (words-text some))))

(define (split some)
  "Make SOME, words, the shell's positional parameters."
  (write-line "fruix_words=$(" (words-text some) ")")
  (for-each write-line '("IFS=$fruix_newline; set -f" "# shellcheck disable=SC2086" "set -- $fruix_words"
                         "set +f; unset IFS")))

(define (emit . parts)
  "Write a line down; strings of PARTS are text, lists are words to be quoted.  Return #t."
  (match (filter words? (append-map (lambda (part) (if (list? part) part '())) parts))
    (() #t)
    ((some) (split some))
    (_ (error "one form has several lists of files that only the builder can find")))
  (write-line (string-join (append-map (match-lambda
                                         ((? string? text) (list text))
                                         (some (map word some)))
                                       parts))))

(define (word value)
  (match value
    ((? string?) (quoted value))
    ((? words?) "\"$@\"")
    ((? number?) (number->string value))
    (_ (error "no word of the shell:" value))))

;;; Cases.

(define (maybe-variable value)
  "The variable whose value VALUE, a string, is if it is set; else #f."
  (match (pieces value)
    (("" (text) "") (and (string-prefix? "${" text)
                         (substring text 2 (string-index text (char-set #\: #\?)))))
    (_ #f)))

(define (truth value)
  "Whether VALUE is true: #t, #f, or a command that tells."
  (match value
    ((? condition?) (condition-text value))
    ((? string?) (match (maybe-variable value)
                   (#f #t)
                   (variable (string-append "[ -n \"${" variable "+set}\" ]"))))
    ((or (? words?) (? unknown?)) (decided value))
    (_ (and value #t))))

(define* (decided value #:optional (name 'if))
  "VALUE, if it is known now whether it is true; NAME is the form that asks."
  (if (or (words? value) (unknown? value) (string? (truth value)))
      (error (format #f "'~a' asks for what only the builder can know" name))
      value))

(define (steady what)
  "Leave if only some cases, or rounds of a loop, get here."
  (unless (zero? (%depth))
    (error (string-append what " in a case that only the builder knows"))))

(define (in-case thunk)
  "As 'captured', for lines of which only the builder knows whether, or how often, they are run."
  (when (> (%depth) 20)
    (error "a loop whose end only the builder can know"))
  (parameterize ((%depth (+ 1 (%depth))))
    (captured thunk)))

(define (for-each-word procedure some)
  "Write down what PROCEDURE does with each of SOME, words."
  (let* ((name (fresh-name))
         (lines (in-case (lambda () (procedure (expansion (string-append "$" name)))))))
    (unless (null? lines)
      (split some)
      (write-line "# shellcheck disable=SC2034") ;not all care which it is
      (write-line "for " name "; do")
      (for-each write-line lines)
      (write-line "done"))))

(define (if-lines command then else)
  (write-line "if " command "; then :")
  (for-each write-line then)
  (unless (null? else)
    (write-line "else :")
    (for-each write-line else))
  (write-line "fi"))

(define (choose value then else)
  "What the thunk THEN returns if VALUE is true, else what ELSE does."
  (match (truth value)
    (#t (then))
    (#f (else))
    (command
     (let-values (((then-lines one) (in-case then))
                  ((else-lines other) (in-case else)))
       (if (and (null? then-lines) (null? else-lines) (eq? one #t) (eq? other #f))
           (condition command)
           (merged command then-lines (if (eq? one value) (set value) one) else-lines other))))))

(define (set value)
  "VALUE, if there is one."
  (match (and (string? value) (maybe-variable value))
    (#f value)
    (variable (expansion (string-append "$" variable)))))

(define (attempt thunk)
  "What THUNK returns, or #f if one of the commands that it writes down fails."
  (let-values (((lines value) (in-case thunk)))
    (cond ((null? lines) value)
          ((any (lambda (line) (string-contains line "\n")) lines) (error "a failure of a whole phase"))
          ((any compound? lines) (error "'false-if-exception' around more than commands"))
          (else (merged (string-join lines " && ") '() value '() #f)))))

(define (compound? line)
  (any (lambda (start) (string-prefix? start line)) '("if " "for " "{" "IFS=" "#" "fi" "}")))

(define (nothing-told? value)
  (or (unspecified? value) (eq? value #t)))

(define (merged command then-lines one else-lines other)
  "Write both cases down.  Return a value that stands for ONE and OTHER."
  (define name (fresh-name))
  (define (text? value) (or (string? value) (not value)))
  (define (truth? value) (or (boolean? value) (unspecified? value) (condition? value)))
  (define (cases assignments result)
    (if-lines command (append then-lines (assignments one)) (append else-lines (assignments other)))
    result)
  (cond ((and (nothing-told? one) (nothing-told? other)) (cases (const '()) *unspecified*))
        ((equal? one other) (cases (const '()) one))
        ((and (truth? one) (truth? other))
         (cases (lambda (value)
                  (match (truth value)
                    (#t (list (string-append name "=1")))
                    (#f (list (string-append name "=")))
                    (test (list (string-append "if " test "; then " name "=1; else " name "=; fi")))))
                (condition (string-append "[ -n \"$" name "\" ]"))))
        ((and (text? one) (text? other))
         (cases (lambda (value)
                  (match (truth value)
                    (#f (list (string-append "unset " name)))
                    (#t (list (string-append name "=" (quoted value))))
                    (test (list (string-append "if " test "; then " name "=" (quoted value)
                                               "; else unset " name "; fi")))))
                (if (and (eq? #t (truth one)) (eq? #t (truth other)))
                    (expansion (string-append "$" name))
                    (maybe name))))
        (else (cases (const '()) (unknown)))))
