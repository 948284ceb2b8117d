;;; Guile's forms that choose, for cases that only a builder can tell apart: both are written down.

(define-module (fruix choices)
  #:use-module (fruix shell)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:export (%choices
            shell-not
            guard-module!))

(define-syntax shell-if
  (syntax-rules ()
    ((_ test then) (choose test (lambda () then) (lambda () *unspecified*)))
    ((_ test then else) (choose test (lambda () then) (lambda () else)))))

(define-syntax-rule (shell-when test body ...)
  (choose test (lambda () body ...) (lambda () *unspecified*)))

(define-syntax-rule (shell-unless test body ...)
  (choose test (lambda () *unspecified*) (lambda () body ...)))

(define-syntax shell-and
  (syntax-rules ()
    ((_) #t)
    ((_ last) last)
    ((_ first rest ...) (choose first (lambda () (shell-and rest ...)) (lambda () #f)))))

(define-syntax shell-or
  (syntax-rules ()
    ((_) #f)
    ((_ last) last)
    ((_ first rest ...)
     (let ((value first)) (choose value (lambda () value) (lambda () (shell-or rest ...)))))))

(define-syntax shell-cond
  (syntax-rules (else =>)
    ((_) *unspecified*)
    ((_ (else body ...)) (let () body ...))
    ((_ (test => receiver) rest ...)
     (let ((value test)) (choose value (lambda () (receiver value)) (lambda () (shell-cond rest ...)))))
    ((_ (test) rest ...) (shell-or test (shell-cond rest ...)))
    ((_ (test body ...) rest ...) (choose test (lambda () body ...) (lambda () (shell-cond rest ...))))))

(define-syntax-rule (shell-set! variable value)
  (begin
    (steady "'set!'")
    (set! variable value)))

(define-syntax-rule (shell-false-if-exception body ...)
  (attempt (lambda () body ...)))

;; Patterns with strings or predicates in them look into what they are given.
(define-syntax shell-match
  (lambda (form)
    (define (looks? pattern)
      (match pattern
        ((? string?) #t)
        (((or '? '= '$ 'not) _ ...) #t)
        ((first . rest) (or (looks? first) (looks? rest)))
        (_ #f)))
    (syntax-case form ()
      ((_ value (pattern body ...) ...)
       (if (looks? (syntax->datum #'(pattern ...)))
           #'(match (known 'match value) (pattern body ...) ...)
           #'(match value (pattern body ...) ...))))))

(define (shell-not value)
  (match (truth value)
    ((? string? command)
     (condition (cond ((string-prefix? "! " command) (string-drop command 2))
                      ((string-prefix? "[ -n " command) (string-append "[ -z " (string-drop command 5)))
                      (else (string-append "! " command)))))
    (known (not known))))

;; Name → the macro of this module for it.
(define %choices
  '((if . shell-if) (when . shell-when) (unless . shell-unless) (and . shell-and) (or . shell-or)
    (cond . shell-cond) (set! . shell-set!) (match . shell-match)
    (false-if-exception . shell-false-if-exception)))

;;; Procedures that look at their arguments.

(define (known name value)
  "VALUE, if nothing in it is left to the builder; NAME is the form that looks into it."
  (match value
    ((first . rest) (known name first) (known name rest))
    (_ (decided value name)
       (when (marked? value)
         (error (format #f "'~a' looks into what only the builder can know" name)))))
  value)

(define (looking name procedure)
  (lambda arguments (apply procedure (known name arguments))))

(define (looking-first name procedure)
  (lambda (first . rest) (apply procedure (known name first) rest)))

(define (looking-second name procedure)
  (lambda (first second . rest) (apply procedure first (known name second) rest)))

(define (deciding name procedure)
  "PROCEDURE, whose arguments that are procedures have to decide."
  (define (wrapped argument)
    (if (procedure? argument)
        (compose (lambda (value) (decided value name)) argument)
        argument))
  (lambda arguments (apply procedure (map wrapped arguments))))

(define %not-looking
  '(string string? string-append string-append/shared string-concatenate string-concatenate/shared
    string-join string-copy))

(define (looks-into-strings? name)
  (let ((text (symbol->string name)))
    (and (or (string-prefix? "string" text) (string-prefix? "substring" text))
         (not (memq name %not-looking)))))

(define %looking '(equal? eqv? eq? null? pair? list? length memq memv member delete delete-duplicates sort))
(define %looking-first '(assoc assq assv))
(define %looking-second '(assoc-ref assq-ref assv-ref))
(define %deciding
  '(filter remove find find-tail any every partition filter-map delete-if count take-while drop-while span
    break list-index assoc member delete delete-duplicates))

(define (guard-module! module names)
  "Let those procedures of MODULE that look at what they are given raise an error for what only the
builder can know; NAMES are all that it has."
  (define (wrap! wrapper name)
    (let ((variable (module-variable module name)))
      (when (and variable (procedure? (variable-ref variable)))
        (module-define! module name (wrapper name (variable-ref variable))))))
  (for-each (match-lambda ((wrapper names ...) (for-each (lambda (name) (wrap! wrapper name)) names)))
            `((,looking ,@(filter looks-into-strings? names) ,@%looking)
              (,looking-first ,@%looking-first)
              (,looking-second ,@%looking-second)
              (,deciding ,@%deciding))))
